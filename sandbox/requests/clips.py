"""Input videos, and the length and sound of the video that a request asks for.

Reads an mp4's boxes (ISO/IEC 14496-12) as far as the provider's limits need it.
"""

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.requests.file_fields import InputFile
from sandbox.requests.sizes import Size, Values

FRAMES_PER_SECOND: Final = 24
#: Maximum of an input video, in bytes and seconds.
VIDEO_BYTES_MAX: Final = 50 * 1024 * 1024
VIDEO_SECONDS_MAX: Final = 20.0
#: Seconds of a video whose length is left to the model.
SECONDS_MIN: Final = 5


@dataclass(frozen=True)
class Clip:
    """What is asked of a video, its size aside."""

    seconds: float
    audio: bool


@dataclass(frozen=True)
class VideoInfo:
    """An input video: its frames' width and height, its length, and whether it has sound."""

    size: Size
    seconds: float
    audio: bool


#: What a video counts as that is a URL, because URLs are never fetched.
USUAL_VIDEO: Final = VideoInfo((1280, 736), 5.0, audio=True)

#: Returns the clip for a request's values, its files, and what is known of its videos by name.
ClipRule = Callable[[Values, Sequence[InputFile], Mapping[str, VideoInfo]], Clip]


def generated(values: Values, files: Sequence[InputFile], _: Mapping[str, VideoInfo]) -> Clip:
    """Return the clip of `duration` and `generate_audio`; "auto" ends at the last keyframe."""
    asked = values["duration"]
    last = max((file.second or 0.0 for file in files), default=0.0)
    seconds = max(SECONDS_MIN, math.ceil(last)) if asked == "auto" else float(asked or 0)
    return Clip(float(seconds), bool(values["generate_audio"]))


def as_long_as(name: str) -> ClipRule:
    """Return a rule: length and sound of this input video."""

    def clip(_: Values, __: Sequence[InputFile], videos: Mapping[str, VideoInfo]) -> Clip:
        video = videos.get(name, USUAL_VIDEO)
        return Clip(video.seconds, video.audio)

    return clip


def read_video(data: bytes) -> VideoInfo | None:
    """Return what an mp4 says of itself, None if it is none or exceeds the limits."""
    if len(data) > VIDEO_BYTES_MAX:
        return None
    try:
        boxes = list(_boxes(data))
        kinds = [kind for kind, _ in boxes]
        if kinds[0] != b"ftyp" or b"mdat" not in kinds:
            return None
        info = _movie(list(_boxes(dict(boxes)[b"moov"])))
    except (LookupError, ValueError, struct.error, ZeroDivisionError):
        return None
    return info if 0 < info.seconds <= VIDEO_SECONDS_MAX and all(info.size) else None


def _movie(boxes: list[tuple[bytes, bytes]]) -> VideoInfo:
    """Return what the boxes of `moov` say."""
    size, audio = (0, 0), False
    for kind, content in boxes:
        if kind == b"trak":
            track = dict(_boxes(content))
            handler = dict(_boxes(track[b"mdia"]))[b"hdlr"][8:12]
            audio = audio or handler == b"soun"
            if handler == b"vide":
                # Width and height are the last fields of the track header, as 16.16 fixed point.
                width, height = struct.unpack(">II", track[b"tkhd"][-8:])
                size = width >> 16, height >> 16
    return VideoInfo(size, _seconds(dict(boxes)[b"mvhd"]), audio)


def _seconds(header: bytes) -> float:
    """Return the length that a movie header states; its version decides the fields' sizes."""
    layout, start = (">IQ", 20) if header[0] else (">II", 12)
    scale, length = struct.unpack_from(layout, header, start)
    return float(length / scale)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of every box, which together must fill the data.

    Raises:
        ValueError: They do not.
    """
    start = 0
    while start < len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        elif length == 0:  # the last box, to the end of the file
            length = len(data) - start
        if length < head or start + length > len(data):
            raise ValueError("a box is cut off")
        yield kind, data[start + head : start + length]
        start += length
