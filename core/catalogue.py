"""The models that can be asked for, as data: adding one is adding an entry.

Every range is the provider's (BFL OpenAPI of 2026-09-19); where its documents disagree the wider
range stands here, for the provider has the last word anyway. Defaults are never filled in: only
what the caller sent is sent on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a parameter's value may be."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    ASPECT_RATIO = "aspect_ratio"
    IMAGE = "image"  # base64, or a URL where `urls` says so


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a model and its bounds."""

    kind: Kind
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: int | None = None
    choices: tuple[str, ...] = ()
    #: An image may also be given as an http(s) URL, which the provider fetches.
    urls: bool = True
    #: Longest text in characters; None: the provider states no limit.
    longest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One endpoint of the provider that makes an image."""

    name: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The endpoint's path below the provider's base URL."""
        return f"/v1/{self.name}"


_FORMAT = Parameter(kind=Kind.CHOICE, choices=("jpeg", "png", "webp"))
_SEED = Parameter(kind=Kind.INTEGER)
_UPSAMPLING = Parameter(kind=Kind.BOOLEAN)
_SAFETY_FLUX_1 = Parameter(kind=Kind.INTEGER, minimum=0, maximum=6)
_SIDE_FLUX_1 = Parameter(kind=Kind.INTEGER, minimum=256, maximum=1440, multiple_of=32)
_IMAGE_OR_URL = Parameter(kind=Kind.IMAGE)

_COMMON_FLUX_1: Final[Mapping[str, Parameter]] = {
    "seed": _SEED,
    "prompt_upsampling": _UPSAMPLING,
    "safety_tolerance": _SAFETY_FLUX_1,
    "output_format": _FORMAT,
    "user": Parameter(kind=Kind.TEXT, minimum=1, longest=256),
}
_KONTEXT: Final[Mapping[str, Parameter]] = {
    "prompt": Parameter(kind=Kind.TEXT, required=True),
    "input_image": _IMAGE_OR_URL,
    "input_image_2": _IMAGE_OR_URL,
    "input_image_3": _IMAGE_OR_URL,
    "input_image_4": _IMAGE_OR_URL,
    "aspect_ratio": Parameter(kind=Kind.ASPECT_RATIO),
    **_COMMON_FLUX_1,
}

MODELS: Final[Mapping[str, Model]] = {
    model.name: model
    for model in (
        Model(name="flux-kontext-pro", parameters=_KONTEXT),
        Model(
            name="flux-pro-1.1",
            parameters={
                # The provider takes a job without a prompt here, but draws an image of nothing
                # for the price of one; with `image_prompt` alone it is a fair request.
                "prompt": Parameter(kind=Kind.TEXT),
                "image_prompt": Parameter(kind=Kind.IMAGE, urls=False),
                "width": _SIDE_FLUX_1,
                "height": _SIDE_FLUX_1,
                **_COMMON_FLUX_1,
            },
        ),
    )
}

#: Widest and tallest aspect ratio (BFL OpenAPI, aspect_ratio: "between 21:9 and 9:21").
WIDEST_RATIO: Final = 21 / 9

#: The provider's limits of an input image (BFL API guide).
LARGEST_IMAGE_BYTES: Final = 20 * 1024 * 1024
LARGEST_IMAGE_PIXELS: Final = 20_000_000
