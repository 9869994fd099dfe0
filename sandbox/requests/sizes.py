"""The image size of a request in pixels, and which requests cannot have an image."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from sandbox.requests.fields import FieldValue

Size = tuple[int, int]
Values = Mapping[str, FieldValue]
#: Sizes of the input images by field, without URLs.
Inputs = Mapping[str, Size]
SizeRule = Callable[[Values, Inputs], Size]
FlawRule = Callable[[Values, Inputs, Size], str | None]

MEGAPIXEL: Final = 1024 * 1024
#: The size if nothing determines it.
USUAL_SIZE: Final = (1024, 1024)
#: Sides that follow from an aspect ratio alone are multiples of this.
RATIO_STEP: Final = 32
#: Maximum pixels of the FLUX.2 models and tools ("up to 4MP").
FLUX_2_PIXELS: Final = 4 * MEGAPIXEL
#: Maximum pixels that the sandbox draws; its own limit, to bound its memory.
DRAWN_PIXELS: Final = 24 * MEGAPIXEL


def _side(value: FieldValue) -> int:
    return int(value or 0)


def sides(values: Values, _: Inputs) -> Size:
    """Return the size given by `width` and `height`."""
    return _side(values["width"]), _side(values["height"])


def by_ratio(megapixels: int) -> SizeRule:
    """Return a rule: about this many megapixels in the requested `aspect_ratio`, else square."""

    def size(values: Values, _: Inputs) -> Size:
        wide, high = (int(part) for part in str(values["aspect_ratio"] or "1:1").split(":"))
        width, height = (
            max(1, round(math.sqrt(megapixels * MEGAPIXEL * share) / RATIO_STEP)) * RATIO_STEP
            for share in (wide / high, high / wide)
        )
        return width, height

    return size


def like(name: str) -> SizeRule:
    """Return a rule: the size of this input image."""
    return lambda _, inputs: inputs.get(name, USUAL_SIZE)


def within_4mp(rule: SizeRule) -> SizeRule:
    """Return the rule with larger images scaled down to 4 MP, in the same ratio."""

    def size(values: Values, inputs: Inputs) -> Size:
        width, height = rule(values, inputs)
        shrink = min(1.0, math.sqrt(FLUX_2_PIXELS / (width * height)))
        return max(1, int(width * shrink)), max(1, int(height * shrink))

    return size


def flux_2(values: Values, inputs: Inputs) -> Size:
    """Return `width` and `height`, by default those of the first input image, else 1024."""
    width, height = within_4mp(like("input_image"))(values, inputs)
    return _side(values["width"]) or width, _side(values["height"]) or height


def expanded(values: Values, inputs: Inputs) -> Size:
    """Return the size of the input image plus its borders."""
    width, height = inputs.get("image", USUAL_SIZE)
    across = _side(values["left"]) + _side(values["right"])
    return width + across, height + _side(values["top"]) + _side(values["bottom"])


def too_large(most: int = DRAWN_PIXELS) -> FlawRule:
    """Return a rule against images of more pixels than this."""
    sentence = f"Requested size exceeds {most // MEGAPIXEL} megapixels"
    return lambda _, __, size: sentence if size[0] * size[1] > most else None


def mask_size_problem(values: Values, inputs: Inputs, size: Size) -> str | None:
    """Return a problem if mask and image have different sides (BFL OpenAPI, `mask`)."""
    image, mask = inputs.get("image"), inputs.get("mask")
    if image and mask and image != mask:
        return "Mask dimensions do not match the image"
    return too_large()(values, inputs, size)


def canvas_problem(values: Values, inputs: Inputs, size: Size) -> str | None:
    """Return a problem if the image exceeds the canvas uncropped (BFL OpenAPI, `auto_crop`)."""
    image = inputs.get("input_image")
    if image and not values["auto_crop"]:
        for offset, side, room in zip(_offsets(values), image, size, strict=True):
            start = (room - side) // 2 if offset is None else offset
            if start < 0 or start + side > room:
                return "Input image extends beyond the canvas"
    return too_large(FLUX_2_PIXELS)(values, inputs, size)


def _offsets(values: Values) -> tuple[int | None, int | None]:
    x, y = values["reference_offset_x"], values["reference_offset_y"]
    return None if x is None else int(x), None if y is None else int(y)
