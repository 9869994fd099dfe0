"""Inputs for every model, made from the catalogue: the least a model takes, and all it takes."""

import base64
import io
from collections.abc import Mapping
from typing import Any, Final

from PIL import Image

from core.provider.catalogue import Kind, Model, Parameter

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


_PICTURE: Final = picture()
_URL: Final = "https://images.example/a.png"
_NAMED: Final[Mapping[str, Any]] = {
    "width": WIDTH,
    "height": HEIGHT,
    "output_format": "webp",
    "aspect_ratio": "21:9",
    "seed": 7,
    "version": "latest",
    # The sandbox's accounts have it.
    "finetune_id": "my-finetune",
}


def minimal(model: Model) -> dict[str, Any]:
    """Return the required parameters alone."""
    pairs = model.parameters.items()
    return {name: value_of(name, one) for name, one in pairs if one.required}


def full(model: Model) -> dict[str, Any]:
    """Return a value for every parameter."""
    return {name: value_of(name, one) for name, one in model.parameters.items()}


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
    }
    if name == "resolution":
        return parameter.choices[0]  # the cheapest to make
    if parameter.kind is Kind.INTEGER and parameter.maximum is not None:
        return min(int(low) + 16, int(parameter.maximum))
    return values[parameter.kind]
