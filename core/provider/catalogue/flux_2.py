"""FLUX.2 and the image tools that stand on it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from core.provider.catalogue.common import (
    FORMAT,
    OPENAPI,
    PICTURE,
    PICTURE_REQUIRED,
    PROMPT,
    PROMPT_REQUIRED,
    SEED,
    SWITCH,
    USER,
    references,
)
from core.provider.catalogue.entry import Kind, Model, Parameter

_Parameters = Mapping[str, Parameter]

_SAFETY = Parameter(
    kind=Kind.INTEGER,
    minimum=0,
    maximum=5,
    disagreement="The OpenAPI document says 0 to 5, which is enforced; the guide 0 to 6.",
)
_SIDE = Parameter(
    kind=Kind.INTEGER,
    minimum=64,
    disagreement="The guide asks for multiples of 16, which is not enforced, and at most 4 "
    "megapixels, which is; the OpenAPI document for 64 or more, and nothing else.",
)
_REFERENCE = replace(
    PICTURE,
    disagreement="The guide asks for 64 x 64 pixels or more; the OpenAPI document names no "
    "least size.",
)

_COMMON: Final[_Parameters] = {
    "prompt": PROMPT_REQUIRED,
    "seed": SEED,
    "width": _SIDE,
    "height": _SIDE,
    "safety_tolerance": _SAFETY,
    "output_format": FORMAT,
    "user": USER,
}
_PRO: Final[_Parameters] = {**_COMMON, "disable_pup": SWITCH, **references(8, _REFERENCE)}
_KLEIN: Final[_Parameters] = {**_COMMON, **references(4, _REFERENCE)}


#: Seen to be enforced by FLUX.2, as its guide says.
_MOST_PIXELS: Final = 4_194_304


def _model(name: str, schema: str, parameters: _Parameters, *, webhook: bool = True) -> Model:
    return Model(
        name=name,
        source=f"{OPENAPI}, {schema}",
        parameters=parameters,
        webhook=webhook,
        cost_on_submit=True,
        most_pixels=_MOST_PIXELS if name.startswith("flux-2-") else None,
    )


FLUX_2: Final = (
    _model("flux-2-pro", "Flux2Inputs", _PRO),
    _model("flux-2-pro-preview", "Flux2Inputs", _PRO),
    _model("flux-2-max", "Flux2Inputs", _PRO),
    _model(
        "flux-2-flex",
        "Flux2FlexInputs",
        {
            **_COMMON,
            "prompt_upsampling": SWITCH,
            **references(8, _REFERENCE),
            "input_image_blob_path": Parameter(kind=Kind.TEXT),
            "guidance": Parameter(
                kind=Kind.NUMBER,
                minimum=1.5,
                maximum=10,
                disagreement="Its default is 5.0 in the OpenAPI document, 4.5 in the guide.",
            ),
            "steps": Parameter(kind=Kind.INTEGER, minimum=1, maximum=50),
        },
    ),
    _model("flux-2-klein-4b", "Flux2KleinInputs", _KLEIN),
    _model(
        "flux-2-klein-9b",
        "Flux2KleinInputs",
        {
            **_KLEIN,
            "input_image_5": replace(
                PICTURE,
                disagreement="The OpenAPI document has four input images, the newer SDK five.",
            ),
        },
    ),
    _model("flux-2-klein-9b-preview", "Flux2KleinInputs", _KLEIN),
)

_TOOL: Final[_Parameters] = {
    "safety_tolerance": Parameter(kind=Kind.INTEGER, minimum=0, maximum=5),
    "output_format": FORMAT,
    "user": USER,
}
_TARGET = Parameter(kind=Kind.INTEGER, required=True, minimum=64)
_OFFSET = Parameter(kind=Kind.INTEGER)
_TRY_ON: Final[_Parameters] = {
    "prompt": PROMPT_REQUIRED,
    "person": PICTURE_REQUIRED,
    "garment": PICTURE_REQUIRED,
    "seed": SEED,
    **_TOOL,
}

TOOLS: Final = (
    _model(
        "flux-tools/erase-v1",
        "Flux2EraseInputs",
        {
            "image": PICTURE_REQUIRED,
            "mask": PICTURE_REQUIRED,
            "dilate_pixels": Parameter(kind=Kind.INTEGER, minimum=0, maximum=25),
            "seed": SEED,
            **_TOOL,
        },
    ),
    _model(
        "flux-tools/deblur-v1",
        "Flux2DeblurInputs",
        {"image": PICTURE_REQUIRED, "seed": SEED, **_TOOL},
    ),
    _model("flux-tools/vto-v1", "Flux2KleinTryonInputs", _TRY_ON),
    _model("flux-tools/vto-v2", "Flux2KleinTryonInputs", _TRY_ON),
    # Its schema takes no webhook fields and forbids what it does not name.
    _model(
        "flux-tools/outpainting-v1",
        "FluxOutpaintingInputs",
        {
            "input_image": PICTURE_REQUIRED,
            "width": _TARGET,
            "height": _TARGET,
            "auto_crop": SWITCH,
            "reference_offset_x": _OFFSET,
            "reference_offset_y": _OFFSET,
            "mode": Parameter(kind=Kind.CHOICE, choices=("high", "fast")),
            "prompt": PROMPT,
            "disable_pup": SWITCH,
            **_TOOL,
        },
        webhook=False,
    ),
)
