"""The request of a planned job: various models and sizes, with small images and videos."""

import base64
import functools
import io
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from PIL import Image

#: Sides in pixels of the input images. As base64, the larger ones exceed 64 KiB, above which the
#: service keeps them in files. FLUX 3 takes only images as large as the last one.
_SIDES: Final = (64, 120, 240, 256)
IMAGES: Final = len(_SIDES)
_LARGE_ENOUGH: Final = (IMAGES - 1,)

#: Inputs behind URLs; the sandbox never fetches them.
_PICTURE: Final = "https://images.example/a.png"
_OTHER_PICTURE: Final = "https://images.example/b.png"
_BUNDLE: Final = "https://drafts.example/{}.bin"

_Options = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of job: a model and its request options.

    Attributes:
        weight: Its relative frequency.
        takes_image: Whether it gets an input image: `never`, `sometimes`, `always`.
        model: The model; empty: the one with the kind's name.
        images: The input images that it may get.
        image_in: Returns the parameters that hold an input image.
        sides: Whether it has a width and a height.
        webhook: Whether the provider can be asked for a webhook.
        options: Parameters, chosen by the job's `size`.
        is_video: Whether its result is a video.
        is_draft: Whether its result has a bundle, from which the full video can be rendered.
        has_prompt: Whether it has a prompt; else the URL of the bundle that it enhances names it.
    """

    weight: float
    takes_image: str = "never"
    model: str = ""
    images: tuple[int, ...] = tuple(range(IMAGES - 1))
    image_in: Callable[[str], _Options] = lambda image: {"input_image": image}
    sides: bool = True
    webhook: bool = True
    options: tuple[_Options, ...] = ({},)
    is_video: bool = False
    is_draft: bool = False
    has_prompt: bool = True


_FORMATS: Final[tuple[_Options, ...]] = ({}, {"output_format": "png"})
_RATIOS: Final[tuple[_Options, ...]] = (
    {"aspect_ratio": "1:1"},
    {"aspect_ratio": "16:9"},
    {"aspect_ratio": "9:21"},
)
_LISTS: Final[tuple[_Options, ...]] = (
    {"images": [_PICTURE, _OTHER_PICTURE, _PICTURE], "resolution": "768sq"},
    {"images": _PICTURE, "resolution": "768sq", "aspect_ratio": "3:2"},
)
_TEXTS: Final[tuple[_Options, ...]] = (
    {"mode": "t2v"},
    {"mode": "text-to-video", "duration": 6, "aspect_ratio": "9:16"},
    {"mode": "t2v", "generate_audio": False, "resolution": "fhd"},
)
_KEYFRAMES: Final[tuple[_Options, ...]] = (
    {"mode": "i2v", "keyframes": _PICTURE},
    {"mode": "image-continuation", "keyframes": [[0, _PICTURE], [2.5, _OTHER_PICTURE]]},
)
_DRAFTS: Final[tuple[_Options, ...]] = (
    {"mode": "t2v", "draft": True},
    {"mode": "i2v", "draft": True, "keyframes": _PICTURE, "generate_audio": False},
)
_ENHANCED: Final[tuple[_Options, ...]] = (
    {"mode": "draft_enhance"},
    {"mode": "draft-enhance", "resolution": "hd"},
)

#: The model of all videos; its results are polled.
VIDEO_MODEL: Final = "flux-3-video"
_video: Final = functools.partial(
    Kind, model=VIDEO_MODEL, images=_LARGE_ENOUGH, sides=False, webhook=False, is_video=True
)

KINDS: Final[Mapping[str, Kind]] = {
    "flux-pro-1.1": Kind(6, options=_FORMATS),
    "flux-dev": Kind(3, options=_FORMATS),
    "flux-2-pro": Kind(4, "sometimes", options=({}, {"output_format": "webp"})),
    "flux-2-klein-4b": Kind(4, "sometimes"),
    "flux-kontext-pro": Kind(0.5, "sometimes", sides=False, options=_RATIOS),
    "flux-kontext-max": Kind(0.7, sides=False, options=_RATIOS),
    # The results of all that follow are polled.
    "flux-tools/outpainting-v1": Kind(0.4, "always", webhook=False),
    "flux-3-image": Kind(
        1.2,
        "sometimes",
        images=_LARGE_ENOUGH,
        image_in=lambda image: {"images": [image, _PICTURE, image]},
        sides=False,
        webhook=False,
        options=_LISTS,
    ),
    "text to video": _video(0.6, options=_TEXTS),
    "keyframes to video": _video(
        0.6,
        "sometimes",
        image_in=lambda image: {"keyframes": [[0, image], [5, _PICTURE]]},
        options=_KEYFRAMES,
    ),
    "draft": _video(0.9, options=_DRAFTS, is_draft=True),
    "enhanced draft": _video(0.4, options=_ENHANCED, has_prompt=False),
}


def order(
    *, kind: str, prompt: str, size: int, image: int | None, callback_url: str, number: int
) -> dict[str, Any]:
    """Return the body of `POST /v1/jobs`."""
    chosen = KINDS[kind]
    asked: dict[str, Any] = {**chosen.options[size % len(chosen.options)]}
    if chosen.has_prompt:
        asked["prompt"] = prompt
    else:
        asked["draft_cache"] = _BUNDLE.format(quote(prompt))
    if chosen.sides:
        asked |= {"width": 256 + 32 * (size % 4), "height": 256 + 32 * (size // 4)}
    if image is not None:
        asked |= chosen.image_in(input_image(image))
    return {
        "model": chosen.model or kind,
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
