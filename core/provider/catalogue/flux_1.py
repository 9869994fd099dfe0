"""FLUX.1: text to image, fill and expand, Kontext, and the finetuned variants."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from core.provider.catalogue.common import (
    BASE64,
    FORMAT,
    OPENAPI,
    PROMPT,
    PROMPT_REQUIRED,
    RATIO,
    SEED,
    SWITCH,
    USER,
    references,
)
from core.provider.catalogue.entry import Kind, Model, Parameter

_Parameters = Mapping[str, Parameter]

_SAFETY = Parameter(kind=Kind.INTEGER, minimum=0, maximum=6)
_SIDE = Parameter(kind=Kind.INTEGER, minimum=256, maximum=1440, multiple_of=32)
_STRENGTH = Parameter(kind=Kind.NUMBER, minimum=0, maximum=2)
# A job without a prompt is taken, but draws an image of nothing for the price of one; with
# `image_prompt` alone it is a fair request.
_PROMPT_OR_IMAGE = replace(
    PROMPT,
    disagreement="The Python SDK 0.1.3 wants `prompt` or `image_prompt`; the OpenAPI document "
    "requires neither.",
)

_COMMON: Final[_Parameters] = {
    "seed": SEED,
    "prompt_upsampling": SWITCH,
    "safety_tolerance": _SAFETY,
    "output_format": FORMAT,
}
_SIDES: Final[_Parameters] = {"width": _SIDE, "height": _SIDE}

_KONTEXT: Final[_Parameters] = {
    "prompt": PROMPT_REQUIRED,
    **references(4),
    "aspect_ratio": replace(
        RATIO,
        disagreement="The guide names 7:3 to 3:7, which is the same range, and a default of 1:1; "
        "the OpenAPI document has none.",
    ),
    **_COMMON,
    "safety_tolerance": replace(
        _SAFETY,
        disagreement="A page of the guide on editing says 0 to 2; the OpenAPI document and the "
        "other pages say 0 to 6.",
    ),
    "output_format": replace(
        FORMAT, disagreement="Its default is `png` in the OpenAPI document, `jpeg` in the guide."
    ),
    "user": USER,
}

_STEPS: Final[_Parameters] = {
    "steps": Parameter(kind=Kind.INTEGER, minimum=1, maximum=50),
    "guidance": Parameter(kind=Kind.NUMBER, minimum=1.5, maximum=5),
}

_ULTRA: Final[_Parameters] = {
    "prompt": _PROMPT_OR_IMAGE,
    "image_prompt": BASE64,
    "image_prompt_strength": Parameter(kind=Kind.NUMBER, minimum=0, maximum=1),
    "aspect_ratio": RATIO,
    **_COMMON,
}

_EDIT: Final[_Parameters] = {
    "image": replace(
        BASE64,
        required=True,
        disagreement="The Python SDK 0.1.3 wants sides of at least 256 pixels; the OpenAPI "
        "document names no least size.",
    ),
    "prompt": PROMPT,
    "steps": Parameter(kind=Kind.INTEGER, minimum=15, maximum=50),
    "guidance": Parameter(kind=Kind.NUMBER, minimum=1.5, maximum=100),
    **_COMMON,
    "user": USER,
}
_FILL: Final[_Parameters] = {**_EDIT, "mask": BASE64}
_FINETUNE: Final[_Parameters] = {
    "finetune_id": Parameter(kind=Kind.TEXT, required=True),
    "finetune_strength": _STRENGTH,
}
_MARGIN = Parameter(kind=Kind.INTEGER, minimum=0, maximum=2048)


def _source(schema: str) -> str:
    return f"{OPENAPI}, {schema}"


FLUX_1: Final = (
    Model(name="flux-kontext-pro", source=_source("FluxKontextProInputs"), parameters=_KONTEXT),
    Model(name="flux-kontext-max", source=_source("FluxKontextProInputs"), parameters=_KONTEXT),
    Model(
        name="flux-pro-1.1",
        source=_source("FluxPro11Inputs"),
        parameters={
            "prompt": _PROMPT_OR_IMAGE,
            "image_prompt": BASE64,
            **_SIDES,
            **_COMMON,
            "user": USER,
        },
    ),
    Model(
        name="flux-pro-1.1-ultra",
        source=_source("FluxUltraInput"),
        parameters={**_ULTRA, "raw": SWITCH, "user": USER},
    ),
    Model(
        name="flux-pro",
        source="BFL Python SDK 0.1.3, FluxProInputs; the BFL API guide lists the endpoint, the "
        "OpenAPI document of 2026-09-19 does not",
        parameters={
            "prompt": _PROMPT_OR_IMAGE,
            "image_prompt": BASE64,
            **_SIDES,
            **_STEPS,
            "interval": Parameter(kind=Kind.NUMBER, minimum=1, maximum=4),
            **_COMMON,
            "output_format": replace(
                FORMAT,
                disagreement="The Python SDK 0.1.3 knows `jpeg` and `png` only; newer documents "
                "have `webp` for every model.",
            ),
        },
    ),
    Model(
        name="flux-dev",
        source=_source("FluxDevInputs"),
        parameters={
            "prompt": _PROMPT_OR_IMAGE,
            "image_prompt": BASE64,
            **_SIDES,
            **_STEPS,
            **_COMMON,
            "user": USER,
        },
    ),
    Model(name="flux-pro-1.0-fill", source=_source("FluxProFillInputs"), parameters=_FILL),
    Model(
        name="flux-pro-1.0-expand",
        source=_source("FluxProExpandInputs"),
        parameters={**_EDIT, **dict.fromkeys(("top", "bottom", "left", "right"), _MARGIN)},
    ),
    Model(
        name="flux-pro-1.0-fill-finetuned",
        source=_source("FinetuneFluxProFillInputs"),
        parameters={**_FINETUNE, **_FILL},
    ),
    Model(
        name="flux-pro-1.1-ultra-finetuned",
        source=_source("FinetuneFluxUltraInput"),
        parameters={**_FINETUNE, **_ULTRA, "prompt": PROMPT},
    ),
)
