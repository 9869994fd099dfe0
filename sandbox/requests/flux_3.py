"""The request bodies of FLUX 3, its image and its video models, as the provider's guides say.

`flux-3-image-klein` is documented by names only; its ranges are the sandbox's own, and wide.
"""

from collections.abc import Sequence
from typing import Final

from sandbox.requests.bodies import OUTPUT_FORMATS, SEED, USER, WEBHOOK, Fields, safety
from sandbox.requests.fields import Choice, Flag, Integer, IntegerOrWord, Number, Text
from sandbox.requests.file_fields import Bundle, InputFile, Keyframes, Pictures, Video
from sandbox.requests.sizes import IMAGE_AREAS, VIDEO_BOXES, Values

#: Maximum images of one request.
IMAGES_MAX: Final = 10
#: Minimum side of an input image, and maximum of its area, in pixels.
SIDE_MIN: Final = 256
PIXELS_MAX: Final = 16 * 1024 * 1024
#: Number of keyframes from which their seconds, or the duration, must be said.
MANY_KEYFRAMES: Final = 3

AUTO: Final = "auto"
IMAGE_RATIOS: Final = (
    AUTO, "21:9", "2:1", "16:9", "3:2", "7:5", "4:3", "5:4", "1:1",
    "4:5", "3:4", "5:7", "2:3", "9:16", "1:2", "9:21",
)  # fmt: skip
VIDEO_RATIOS: Final = (AUTO, "21:9", "2:1", "16:9", "4:3", "1:1", "3:4", "9:16", "9:21")


def _one_of(options: Sequence[str], default: str) -> Choice:
    return Choice(default=default, nullable=False, options=tuple(options))


def _flag(*, default: bool) -> Flag:
    return Flag(default=default, nullable=False)


_PROMPT: Final[Fields] = {"prompt": Text(required=True, nullable=False, shortest=1)}
_VERSION: Final[Fields] = {"version": Text(default="latest", nullable=False)}
_SAFETY: Final[Fields] = {"safety_tolerance": safety(4)}
_IMAGES: Final[Fields] = {
    "images": Pictures(most=IMAGES_MAX, shortest_side=SIDE_MIN, most_pixels=PIXELS_MAX)
}

IMAGE: Final[Fields] = {
    **_PROMPT,
    **_IMAGES,
    "aspect_ratio": _one_of(IMAGE_RATIOS, AUTO),
    "resolution": _one_of(tuple(IMAGE_AREAS), "1k"),
    **_SAFETY,
    "grounding": _flag(default=True),
    **_VERSION,
}
IMAGE_KLEIN: Final[Fields] = {
    **_PROMPT,
    **_IMAGES,
    "width": Integer(least=16),
    "height": Integer(least=16),
    **SEED,
    "output_format": Choice(default="png", options=OUTPUT_FORMATS),
    "steps": Integer(),
    "safety_tolerance": safety(7),
}


def _video(longest: int) -> Fields:
    """Return the fields of a mode that generates at most so many seconds."""
    seconds = Integer(least=5, most=longest)
    return {
        **_PROMPT,
        "duration": IntegerOrWord(default=AUTO, nullable=False, number=seconds, word=AUTO),
        "aspect_ratio": _one_of(VIDEO_RATIOS, AUTO),
        "resolution": _one_of(tuple(VIDEO_BOXES), "hd"),
        "generate_audio": _flag(default=True),
        **_SAFETY,
        "draft": _flag(default=False),
        **_VERSION,
        **USER,
    }


TEXT_TO_VIDEO: Final[Fields] = _video(20)
KEYFRAMES: Final[Fields] = {
    **_video(20),
    "keyframes": Keyframes(
        required=True,
        nullable=False,
        most=IMAGES_MAX,
        shortest_side=SIDE_MIN,
        most_pixels=PIXELS_MAX,
    ),
}
CONTINUATION: Final[Fields] = {
    **_video(15),
    "start_video": Video(required=True, nullable=False),
}
DRAFT_ENHANCE: Final[Fields] = {
    "draft_cache": Bundle(required=True, nullable=False),
    "resolution": _one_of(tuple(VIDEO_BOXES), "fhd"),
    **_SAFETY,
}
EDIT: Final[Fields] = {
    "video": Video(required=True, nullable=False),
    **_PROMPT,
    **_SAFETY,
}
UPSCALE: Final[Fields] = {
    "input_video": Video(required=True, nullable=False),
    "prompt": Text(),
    "creativity": Integer(default=1, nullable=False, least=0, most=1),
    "upscale_factor": Number(default=2.0, nullable=False, least=1.5, most=3),
    **_SAFETY,
    **WEBHOOK,
}


def draft_problem(values: Values, _: Sequence[InputFile]) -> str | None:
    """Return a problem if a draft is asked for in a resolution that drafts do not have."""
    if values["draft"] and values["resolution"] != "hd":
        return "A draft must have the resolution 'hd'"
    return None


def keyframe_problem(values: Values, files: Sequence[InputFile]) -> str | None:
    """Return a problem if keyframes and duration do not fit together."""
    seconds = [file.second for file in files if file.second is not None]
    duration = values["duration"]
    if duration == AUTO:
        if len(files) >= MANY_KEYFRAMES and not seconds:
            return "Three or more keyframes without seconds need a duration"
    elif seconds and max(seconds) > float(duration or 0):
        return "Keyframe seconds must be within the duration"
    return draft_problem(values, files)
