"""What the files of a result may be: an image, a video, or a bundle of bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, Final

from core.media.image_formats import (
    FORMATS,
    PNG,
    BadImage,
    FileFormat,
    begins_as_image,
    read_picture,
)
from core.media.mp4 import MP4, BadVideo, begins_as_video, read_video

#: Largest image; the provider's largest has some 30 MB.
_LARGEST_IMAGE: Final = 100 * 1024 * 1024  # bytes
#: Largest video or bundle; the provider's largest videos have some hundred MB.
_LARGEST_VIDEO: Final = 2 * 1024 * 1024 * 1024  # bytes
_BUNDLE: Final = FileFormat("bundle", "application/octet-stream", "bin")
#: How pages begin that a proxy or a host sends in place of a file.
_PAGES: Final = {b"<!doctype html": "HTML", b"<html": "HTML", b"<?xml": "XML"}


class BadContent(ValueError):
    """A file is not what it has to be, or incomplete; the message continues a field's name."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A complete file."""

    format: FileFormat
    #: What is known of its content, as it is recorded and shown.
    facts: Mapping[str, Any]
    #: Whether the format's own checksums cover all of it.
    is_verified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A kind of content."""

    name: str
    #: `Accept` header of a request for it.
    accept: str
    largest: int  # bytes
    formats: tuple[FileFormat, ...]
    #: Name of a fact -> how it is read from text, which may be empty.
    facts: Mapping[str, Callable[[str], Any]]
    #: Whether a complete file can be told from a truncated one.
    shows_its_end: bool
    #: Whether these first bytes are those of such a file; 12 are enough.
    begins: Callable[[bytes], bool]
    #: Checks a file of so many bytes; raises `BadContent`.
    check: Callable[[IO[bytes], int], Checked]


def _whole(text: str) -> int:
    return int(text or 0)


def _number(text: str) -> float:
    return float(text or 0)


def _names(text: str) -> list[str]:
    return text.split(",") if text else []


def _check_image(file: IO[bytes], size: int) -> Checked:
    try:
        picture = read_picture(file, size)
    except BadImage as error:
        raise BadContent(str(error)) from error
    # A PNG has a checksum in each of its parts.
    is_verified = picture.format is PNG and picture.end == size
    facts = {"width": picture.width, "height": picture.height}
    return Checked(picture.format, facts, is_verified)


def _check_video(file: IO[bytes], size: int) -> Checked:
    try:
        video = read_video(file, size)
    except BadVideo as error:
        raise BadContent(str(error)) from error
    facts = {
        "seconds": video.seconds,
        "frames_per_second": video.frames_per_second,
        "width": video.width,
        "height": video.height,
        "tracks": list(video.tracks),
    }
    return Checked(MP4, facts)


def _check_bundle(file: IO[bytes], size: int) -> Checked:
    file.seek(0)
    start = file.read(64).lstrip().lower()
    if not size:
        raise BadContent("is empty")
    for mark, name in _PAGES.items():
        if start.startswith(mark):
            raise BadContent(f"is {name}, not a bundle")
    return Checked(_BUNDLE, {})


IMAGE: Final = Content(
    name="image",
    accept="image/*",
    largest=_LARGEST_IMAGE,
    formats=tuple(FORMATS.values()),
    facts={"width": _whole, "height": _whole},
    shows_its_end=True,
    begins=begins_as_image,
    check=_check_image,
)
VIDEO: Final = Content(
    name="video",
    accept="video/*",
    largest=_LARGEST_VIDEO,
    formats=(MP4,),
    facts={
        "seconds": _number,
        "frames_per_second": _number,
        "width": _whole,
        "height": _whole,
        "tracks": _names,
    },
    shows_its_end=True,
    begins=begins_as_video,
    check=_check_video,
)
BUNDLE: Final = Content(
    name="bundle",
    accept="*/*",
    largest=_LARGEST_VIDEO,
    formats=(_BUNDLE,),
    facts={},
    shows_its_end=False,
    begins=lambda _: False,
    check=_check_bundle,
)
