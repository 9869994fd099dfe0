"""The models the sandbox offers, as data: a new model is a new entry of `MODELS`.

Prices are flat, in credits (one credit is one US cent), near the provider's price list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.requests import bodies
from sandbox.requests.bodies import Fields
from sandbox.requests.sizes import (
    FLUX_2_PIXELS,
    FlawRule,
    SizeRule,
    by_ratio,
    canvas_problem,
    expanded,
    flux_2,
    like,
    mask_size_problem,
    sides,
    too_large,
    within_4mp,
)


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model: its path under `/v1/`, its fields, and the properties of its images."""

    slug: str
    fields: Fields
    #: Returns the width and height of a request's image.
    size: SizeRule
    #: Returns why a request with valid fields cannot have an image.
    flaw: FlawRule
    price: float
    #: Whether the answer to a submit has cost and megapixels; get_result does for every model.
    cost_on_submit: bool = False
    #: Whether a running task goes through the statuses Reasoning and Generating.
    staged: bool = False
    #: Whether unknown fields are an error.
    forbids_unknown: bool = False


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
    )
}
