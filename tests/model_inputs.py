"""Inputs for every model, made from the catalogue: the least a model takes, and all it takes."""

import base64
import io
from collections.abc import Mapping
from typing import Any, Final

from PIL import Image

from core.provider.catalogue import MODELS, Kind, Model, Parameter
from tests.video_files import video

#: Of every picture that is sent, in pixels; masks must have the size of what they cover.
PICTURE_SIZE: Final = (320, 256)
#: Asked for where a model takes them: good for every model, and no model's default.
WIDTH: Final = 512
HEIGHT: Final = 320


def picture() -> str:
    """Return a PNG as base64."""
    file = io.BytesIO()
    Image.new("RGB", PICTURE_SIZE, "white").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


#: Every model with each of its variants, by the first value of the field that selects it; that is
#: empty for a model without variants.
FORMS: Final[list[tuple[str, str]]] = [
    (model.name, mode)
    for model in MODELS.values()
    for mode in [variant.names[0] for variant in model.variants] or [""]
]
_PICTURE: Final = picture()
_CLIP: Final = base64.b64encode(video()).decode()
_BUNDLE: Final = base64.b64encode(bytes(range(100))).decode()
_URL: Final = "https://images.example/a.png"
_NAMED: Final[Mapping[str, Any]] = {
    "width": WIDTH,
    "height": HEIGHT,
    "output_format": "webp",
    "aspect_ratio": "21:9",
    "seed": 7,
    "version": "latest",
    "duration": 6,
    # The sandbox's accounts have it.
    "finetune_id": "my-finetune",
}


def parameters_of(model: Model, mode: str = "") -> Mapping[str, Parameter]:
    """Return the parameters of a variant; of the first one if none is named."""
    return model.parameters_of(selection(model, mode))


def selection(model: Model, mode: str = "") -> dict[str, Any]:
    """Return what selects a variant; nothing for a model without variants."""
    return {model.variant_field: mode or model.variants[0].names[0]} if model.variants else {}


def minimal(model: Model, mode: str = "") -> dict[str, Any]:
    """Return the required parameters of a variant alone."""
    pairs = parameters_of(model, mode).items()
    return selection(model, mode) | {n: value_of(n, one) for n, one in pairs if one.required}


def full(model: Model, mode: str = "") -> dict[str, Any]:
    """Return a value for every parameter of a variant."""
    pairs = parameters_of(model, mode).items()
    return selection(model, mode) | {name: value_of(name, one) for name, one in pairs}


def value_of(name: str, parameter: Parameter) -> Any:
    """Return a value that the parameter takes."""
    if name in _NAMED:
        return _NAMED[name]
    low = parameter.minimum or 0
    values: dict[Kind, Any] = {
        Kind.TEXT: f"a text for {name}",
        Kind.INTEGER: int(low) + 16,
        Kind.NUMBER: low + 0.5,
        Kind.BOOLEAN: True,
        Kind.CHOICE: parameter.choices[-1] if parameter.choices else "",
        Kind.ASPECT_RATIO: "21:9",
        Kind.IMAGE: _PICTURE,
        Kind.IMAGES: [_PICTURE, _URL, _PICTURE],
        Kind.KEYFRAMES: [[0, _PICTURE], [1.5, _URL], [3, _PICTURE]],
        Kind.VIDEO: _CLIP,
        Kind.BUNDLE: _BUNDLE,
    }
    if name == "resolution":
        return parameter.choices[0]  # the cheapest to make
    if parameter.kind is Kind.INTEGER and parameter.maximum is not None:
        return min(int(low) + 16, int(parameter.maximum))
    return values[parameter.kind]
