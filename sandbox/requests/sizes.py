"""The size of a request's image or video in pixels, and which requests cannot have one."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from sandbox.requests.fields import FieldValue

Size = tuple[int, int]
Values = Mapping[str, FieldValue]
#: Sizes of the input images and videos by name, without URLs.
Inputs = Mapping[str, Size]
SizeRule = Callable[[Values, Inputs], Size]
FlawRule = Callable[[Values, Inputs, Size], str | None]

MEGAPIXEL: Final = 1024 * 1024
#: The size if nothing determines it.
USUAL_SIZE: Final = (1024, 1024)
#: Sides that follow from an aspect ratio alone are multiples of this.
RATIO_STEP: Final = 32
#: Pixels of a FLUX 3 image by its `resolution`, and the step of its sides.
IMAGE_AREAS: Final[Mapping[str, int]] = {
    "768sq": 768**2,
    "1k": 1024**2,
    "1.5k": 1536**2,
    "2k": 2048**2,
    "4k": 4096**2,
}
IMAGE_STEP: Final = 16
#: The longer and the shorter side that a video of a `resolution` does not exceed, but for the
#: rounding up to a multiple of the step.
VIDEO_BOXES: Final[Mapping[str, Size]] = {
    "hd": (1280, 720),
    "fhd": (1920, 1080),
    "qhd": (2560, 1440),
    "uhd": (3840, 2160),
}
VIDEO_STEP: Final = 32
#: The aspect ratio of a video that nothing determines.
USUAL_RATIO: Final = (16, 9)
#: Maximum pixels of a frame of an upscaled video.
UPSCALED_PIXELS: Final = 14_400_000
#: Maximum pixels of the FLUX.2 models and tools ("up to 4MP").
FLUX_2_PIXELS: Final = 4 * MEGAPIXEL
#: Maximum pixels that the sandbox draws; its own limit, to bound its memory.
DRAWN_PIXELS: Final = 24 * MEGAPIXEL


def _side(value: FieldValue) -> int:
    return int(value or 0)


def sides(values: Values, _: Inputs) -> Size:
    """Return the size given by `width` and `height`."""
    return _side(values["width"]), _side(values["height"])


def by_area(values: Values, inputs: Inputs) -> Size:
    """Return the size of `resolution` in `aspect_ratio`, by default the first input image's."""
    area = IMAGE_AREAS[str(values["resolution"])]
    wide, high = _ratio(values, inputs, USUAL_SIZE)
    width, height = (
        max(1, round(math.sqrt(area * share) / IMAGE_STEP)) * IMAGE_STEP
        for share in (wide / high, high / wide)
    )
    return width, height


def by_box(values: Values, inputs: Inputs) -> Size:
    """Return a video's size for `resolution` and `aspect_ratio`, by default the first input's."""
    long, short = VIDEO_BOXES[str(values["resolution"])]
    wide, high = _ratio(values, inputs, USUAL_RATIO)
    across, down = (long, short) if wide >= high else (short, long)
    scale = min(across / wide, down / high)
    return _stepped(wide * scale), _stepped(high * scale)


def upscaled(name: str, usual: Size) -> SizeRule:
    """Return a rule: the size of this input video times `upscale_factor`, within the maximum."""

    def size(values: Values, inputs: Inputs) -> Size:
        factor = float(values.get("upscale_factor") or 1)
        width, height = (side * factor for side in inputs.get(name, usual))
        shrink = min(1.0, math.sqrt(UPSCALED_PIXELS / (width * height)))
        return scaled((width, height), shrink)

    return size


def scaled(size: tuple[float, float], scale: float) -> Size:
    """Return a video's size times a factor, at least one step, in steps."""
    width, height = (max(1, round(side * scale / VIDEO_STEP)) * VIDEO_STEP for side in size)
    return width, height


def sides_or_usual(values: Values, _: Inputs) -> Size:
    """Return the size given by `width` and `height`, by default 1024 each."""
    return _side(values["width"]) or USUAL_SIZE[0], _side(values["height"]) or USUAL_SIZE[1]


def _ratio(values: Values, inputs: Inputs, usual: Size) -> Size:
    """Return the asked aspect ratio; "auto" is that of the first input."""
    asked = str(values["aspect_ratio"])
    if asked == "auto":
        return next(iter(inputs.values()), usual)
    wide, high = (int(part) for part in asked.split(":"))
    return wide, high


def _stepped(side: float) -> int:
    # Rounded before, or a product that is a little above a whole step would take the next one.
    return math.ceil(round(side / VIDEO_STEP, 6)) * VIDEO_STEP


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
