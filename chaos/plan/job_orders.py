"""The request of a planned job: various models and sizes, and small images."""

import base64
import functools
import io
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image

#: Sides in pixels of the input images. As base64, the larger ones exceed 64 KiB, above which the
#: service keeps them in files.
_SIDES: Final = (64, 120, 240)
IMAGES: Final = len(_SIDES)


@dataclass(frozen=True)
class Kind:
    """A model and its request options.

    Attributes:
        weight: Its relative frequency.
        takes_image: Whether it gets an input image: `never`, `sometimes`, `always`.
        sides: Whether it has a width and a height.
        webhook: Whether the provider can be asked for a webhook.
        options: Parameters, chosen by the job's `size`.
    """

    weight: float
    takes_image: str = "never"
    sides: bool = True
    webhook: bool = True
    options: tuple[Mapping[str, Any], ...] = ({},)


_FORMATS: Final[tuple[Mapping[str, Any], ...]] = ({}, {"output_format": "png"})
_RATIOS: Final[tuple[Mapping[str, Any], ...]] = (
    {"aspect_ratio": "1:1"},
    {"aspect_ratio": "16:9"},
    {"aspect_ratio": "9:21"},
)

MODELS: Final[Mapping[str, Kind]] = {
    "flux-pro-1.1": Kind(6, options=_FORMATS),
    "flux-dev": Kind(3, options=_FORMATS),
    "flux-2-pro": Kind(4, "sometimes", options=({}, {"output_format": "webp"})),
    "flux-2-klein-4b": Kind(4, "sometimes"),
    "flux-kontext-pro": Kind(0.5, "sometimes", sides=False, options=_RATIOS),
    "flux-kontext-max": Kind(0.7, sides=False, options=_RATIOS),
    # Its results are polled.
    "flux-tools/outpainting-v1": Kind(0.4, "always", webhook=False),
}


def order(
    *, model: str, prompt: str, size: int, image: int | None, callback_url: str, number: int
) -> dict[str, Any]:
    """Return the body of `POST /v1/jobs`."""
    kind = MODELS[model]
    asked: dict[str, Any] = {"prompt": prompt, **kind.options[size % len(kind.options)]}
    if kind.sides:
        asked |= {"width": 256 + 32 * (size % 4), "height": 256 + 32 * (size // 4)}
    if image is not None:
        asked["input_image"] = input_image(image)
    return {
        "model": model,
        "input": asked,
        "callback": {"url": callback_url},
        "metadata": {"number": number},
    }


@functools.cache
def input_image(number: int) -> str:
    """Return an input image as base64: noise, which PNG cannot compress."""
    side = _SIDES[number]
    noise = random.Random(number).randbytes(side * side * 3)  # noqa: S311 - a picture, no secret
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), noise).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
