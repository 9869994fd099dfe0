"""The models the sandbox offers, as data: a new model is a new entry of `MODELS`.

Fields, ranges and defaults are those of the BFL OpenAPI's input schemas; prices are
the provider's price list, in credits (one credit is one US cent).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sandbox.fields import (
    Choice,
    Field,
    FieldValue,
    Flag,
    Integer,
    Picture,
    Ratio,
    Text,
    WebAddress,
)

Values = Mapping[str, FieldValue]

OUTPUT_FORMATS: Final = ("jpeg", "png", "webp")
#: Pixels of a picture whose size is given by its aspect ratio alone.
RATIO_PIXELS: Final = 1024 * 1024
#: Sides of such a picture are multiples of this many pixels.
RATIO_STEP: Final = 32


@dataclass(frozen=True)
class Model:
    """One model: its address under `/v1/`, its fields, and what its pictures are like."""

    slug: str
    fields: Mapping[str, Field]
    #: Width and height in pixels of the picture that these values ask for.
    size: Callable[[Values], tuple[int, int]]
    price: float


def sides(values: Values) -> tuple[int, int]:
    """Return the size that `width` and `height` name, in pixels."""
    return int(values["width"] or 0), int(values["height"] or 0)


def ratio_size(values: Values) -> tuple[int, int]:
    """Return about one megapixel in the asked `aspect_ratio`, square when none was asked."""
    wide, high = (int(part) for part in str(values["aspect_ratio"] or "1:1").split(":"))
    width, height = (
        max(1, round(math.sqrt(RATIO_PIXELS * share) / RATIO_STEP)) * RATIO_STEP
        for share in (wide / high, high / wide)
    )
    return width, height


def _side(default: int) -> Integer:
    return Integer(default=default, nullable=False, least=256, most=1440, multiple_of=32)


def _format(default: str) -> Choice:
    return Choice(default=default, options=OUTPUT_FORMATS)


_COMMON: Final[Mapping[str, Field]] = {
    "prompt_upsampling": Flag(default=False, nullable=False),
    "seed": Integer(),
    "safety_tolerance": Integer(default=2, nullable=False, least=0, most=6),
    "webhook_url": WebAddress(),
    "webhook_secret": Text(),
    "user": Text(shortest=1, longest=256),
}

_KONTEXT: Final[Mapping[str, Field]] = {
    "prompt": Text(required=True, nullable=False),
    "input_image": Picture(),
    "input_image_2": Picture(),
    "input_image_3": Picture(),
    "input_image_4": Picture(),
    "aspect_ratio": Ratio(),
    "output_format": _format("png"),
    **_COMMON,
}

_PRO_1_1: Final[Mapping[str, Field]] = {
    "prompt": Text(default=""),
    "image_prompt": Picture(urls=False),
    "width": _side(1024),
    "height": _side(768),
    "output_format": _format("jpeg"),
    **_COMMON,
}

MODELS: Final[Mapping[str, Model]] = {
    model.slug: model
    for model in (
        Model("flux-kontext-pro", _KONTEXT, ratio_size, price=4),
        Model("flux-kontext-max", _KONTEXT, ratio_size, price=8),
        Model("flux-pro-1.1", _PRO_1_1, sides, price=4),
    )
}
