"""The models the sandbox offers, as data: a new model is a new entry of `MODELS`.

Prices are flat, in credits (one credit is one US cent), near the provider's price list.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.requests import bodies, flux_3
from sandbox.requests.bodies import Fields
from sandbox.requests.clips import USUAL_VIDEO, ClipRule, as_long_as, generated
from sandbox.requests.fields import Choice
from sandbox.requests.file_fields import InputFile
from sandbox.requests.sizes import (
    FLUX_2_PIXELS,
    FlawRule,
    SizeRule,
    Values,
    by_area,
    by_box,
    by_ratio,
    canvas_problem,
    expanded,
    flux_2,
    like,
    mask_size_problem,
    sides,
    sides_or_usual,
    too_large,
    upscaled,
    within_4mp,
)

#: Seconds for which the links to a result live: of FLUX.1 and FLUX.2, of images and of videos of
#: FLUX 3.
LINK_SECONDS: Final = 600.0
IMAGE_LINK_SECONDS: Final = 3600.0
VIDEO_LINK_SECONDS: Final = 7200.0
#: The model whose limit of active tasks all video models share.
VIDEO_LANE: Final = "flux-3-video"

#: Returns why fields that are valid one by one are not valid together.
CheckRule = Callable[[Values, Sequence[InputFile]], str | None]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What a model takes if `mode` has one of these names, the first of which is its own."""

    names: tuple[str, ...]
    fields: Fields
    check: CheckRule = lambda _values, _files: None


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model: its path under `/v1/`, its fields, and the properties of its results."""

    slug: str
    #: The fields of every request; those of a variant come in addition.
    fields: Fields
    #: Returns the width and height of a request's image or video.
    size: SizeRule
    #: Returns why a request with valid fields cannot have a result.
    flaw: FlawRule
    price: float
    #: What it takes by `mode`, if it has that field.
    variants: tuple[Variant, ...] = ()
    #: Returns the length and sound of a request's video; None: the results are images.
    clip: ClipRule | None = None
    #: Format of the results, if no field asks for it.
    format: str = "png"
    link_seconds: float = LINK_SECONDS
    #: The model whose limit of active tasks it shares; empty: its own, if any.
    lane: str = ""
    #: Whether the result tells an expanded prompt, and neither seed nor times.
    expands_prompt: bool = False
    #: Whether the answer to a submit has cost and megapixels; get_result does for every model.
    cost_on_submit: bool = False
    #: Whether a running task goes through the statuses Reasoning and Generating.
    staged: bool = False
    #: Whether unknown fields are an error.
    forbids_unknown: bool = False

    @property
    def usual_format(self) -> str:
        """The format of a result whose request does not name one."""
        field = self.fields.get("output_format")
        return self.format if field is None else str(field.default)

    @property
    def limited_as(self) -> str:
        """The model whose limit of active tasks applies."""
        return self.lane or self.slug


def _first(slug: str, fields: Fields, size: SizeRule, price: float) -> Model:
    flaw = mask_size_problem if "mask" in fields else too_large()
    return Model(slug=slug, fields=fields, size=size, flaw=flaw, price=price)


def _second(slug: str, fields: Fields, price: float) -> Model:
    return Model(
        slug=slug,
        fields=fields,
        size=flux_2,
        flaw=too_large(FLUX_2_PIXELS),
        price=price,
        cost_on_submit=True,
        staged=True,
    )


def _tool(slug: str, fields: Fields, size: SizeRule, flaw: FlawRule, price: float) -> Model:
    return Model(
        slug=f"flux-tools/{slug}",
        fields=fields,
        size=size,
        flaw=flaw,
        price=price,
        cost_on_submit=True,
        # Of all these models, only the one without webhook fields rejects unknown fields.
        forbids_unknown="webhook_url" not in fields,
    )


def _third(slug: str, fields: Fields, size: SizeRule, price: float) -> Model:
    return Model(
        slug=slug,
        fields=fields,
        size=size,
        flaw=too_large(),
        price=price,
        link_seconds=IMAGE_LINK_SECONDS,
        staged=True,
        forbids_unknown="output_format" not in fields,
        expands_prompt="seed" not in fields,
    )


def _video(
    slug: str,
    fields: Fields,
    size: SizeRule,
    clip: ClipRule,
    *,
    price: float,
    variants: tuple[Variant, ...] = (),
) -> Model:
    return Model(
        slug=slug,
        fields=fields,
        size=size,
        flaw=lambda _values, _inputs, _size: None,
        price=price,
        variants=variants,
        clip=clip,
        format="mp4",
        link_seconds=VIDEO_LINK_SECONDS,
        lane=VIDEO_LANE,
        staged=True,
        forbids_unknown=True,
    )


#: Names of the variants that need a prompt alone, and that render a draft in full quality.
TEXT_MODE: Final = "t2v"
ENHANCE: Final = "draft_enhance"
_MODES: Final = (
    Variant(
        names=(TEXT_MODE, "text-to-video"),
        fields=flux_3.TEXT_TO_VIDEO,
        check=flux_3.draft_problem,
    ),
    Variant(
        names=("i2v", "image-continuation"),
        fields=flux_3.KEYFRAMES,
        check=flux_3.keyframe_problem,
    ),
    Variant(
        names=("v2v", "video-continuation"),
        fields=flux_3.CONTINUATION,
        check=flux_3.draft_problem,
    ),
    Variant(names=(ENHANCE, "draft-enhance"), fields=flux_3.DRAFT_ENHANCE),
)
_MODE: Final = Choice(
    required=True, nullable=False, options=tuple(name for mode in _MODES for name in mode.names)
)

MODELS: Final[Mapping[str, Model]] = {
    model.slug: model
    for model in (
        _first("flux-kontext-pro", bodies.KONTEXT, by_ratio(1), 4),
        _first("flux-kontext-max", bodies.KONTEXT, by_ratio(1), 8),
        _first("flux-pro-1.1", bodies.PRO_1_1, sides, 4),
        _first("flux-pro-1.1-ultra", bodies.ULTRA, by_ratio(4), 6),
        _first("flux-pro", bodies.PRO, sides, 5),
        _first("flux-dev", bodies.DEV, sides, 2.5),
        _second("flux-2-pro", bodies.FLUX_2_PRO, 3),
        _second("flux-2-pro-preview", bodies.FLUX_2_PRO, 3),
        _second("flux-2-max", bodies.FLUX_2_PRO, 7),
        _second("flux-2-flex", bodies.FLUX_2_FLEX, 6),
        _second("flux-2-klein-4b", bodies.KLEIN, 1.4),
        _second("flux-2-klein-9b", bodies.KLEIN, 1.5),
        _second("flux-2-klein-9b-preview", bodies.KLEIN, 1.5),
        _first("flux-pro-1.0-fill", bodies.FILL, like("image"), 5),
        _first("flux-pro-1.0-expand", bodies.EXPAND, expanded, 5),
        _first("flux-pro-1.0-fill-finetuned", bodies.FINETUNED_FILL, like("image"), 6),
        _first("flux-pro-1.1-ultra-finetuned", bodies.FINETUNED_ULTRA, by_ratio(4), 7),
        _tool("erase-v1", bodies.ERASE, like("image"), mask_size_problem, 3),
        _tool("deblur-v1", bodies.DEBLUR, like("image"), too_large(), 3),
        _tool("vto-v1", bodies.TRY_ON, within_4mp(like("person")), too_large(), 3),
        _tool("vto-v2", bodies.TRY_ON, within_4mp(like("person")), too_large(), 3),
        _tool("outpainting-v1", bodies.OUTPAINTING, sides, canvas_problem, 3),
        _third("flux-3-image", flux_3.IMAGE, by_area, 4.8),
        _third("flux-3-image-klein", flux_3.IMAGE_KLEIN, sides_or_usual, 0.9),
        _video(VIDEO_LANE, {"mode": _MODE}, by_box, generated, price=85, variants=_MODES),
        _video(
            "flux-tools/video-edit-v1",
            flux_3.EDIT,
            upscaled("video", USUAL_VIDEO.size),
            as_long_as("video"),
            price=85,
        ),
        _video(
            "flux-tools/video-upscale-v1",
            flux_3.UPSCALE,
            upscaled("input_video", USUAL_VIDEO.size),
            as_long_as("input_video"),
            price=40,
        ),
    )
}
