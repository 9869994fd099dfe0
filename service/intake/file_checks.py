"""Validates files given as base64 before anything is stored or queued."""

import io
from dataclasses import dataclass
from typing import IO, Final

from core.media.image_formats import BadImage, read_picture
from core.media.mp4 import MP4, BadVideo, read_video
from core.provider.catalogue import LARGEST_IMAGE_PIXELS, Kind, Parameter
from service.body.inline_files import InlineFile
from service.http.problems import FieldError

_ANY_BYTES: Final = "application/octet-stream"
#: Seconds by which a video may be too long: its sound ends with a whole frame, after the pictures.
_LAST_SOUND: Final = 0.1


@dataclass(frozen=True, slots=True)
class InputFile:
    """A caller's file, with its SHA-256 and media type."""

    file: IO[bytes]
    sha256: bytes
    content_type: str


class _BadFileError(Exception):
    """A file that the provider would refuse.

    Args:
        problem: What is wrong with it.
        fix: How to fix it.
    """

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix


def decoded(text: str, parameter: Parameter) -> InlineFile:
    """Decode a short file in memory.

    Args:
        text: What `service.body.inline_files.InlineFile` takes.
        parameter: The parameter that holds it.
    """
    inline = InlineFile(io.BytesIO(), parameter.largest_file)
    inline.feed(text)
    inline.end()
    return inline


def check_file(path: str, parameter: Parameter, inline: InlineFile) -> InputFile | FieldError:
    """Validate that a file is complete and within its limits; nothing in it is decoded.

    Args:
        path: The field, for errors.
        parameter: The parameter that holds it.
        inline: The complete file.
    """
    try:
        _check_bytes(parameter, inline)
        match parameter.kind:
            case Kind.VIDEO:
                content_type = _check_video(parameter, inline)
            case Kind.BUNDLE:
                content_type = _ANY_BYTES
            case _:
                content_type = _check_image(parameter, inline)
    except _BadFileError as error:
        return FieldError(path, error.problem, _allowed(parameter), error.fix)
    inline.file.seek(0)
    return InputFile(inline.file, inline.sha256, content_type)


def _check_bytes(parameter: Parameter, inline: InlineFile) -> None:
    if not inline.is_base64:
        fix = "encode the file's bytes as standard base64, with its padding"
        problem = "is neither an http(s) URL nor" if parameter.urls else "is not"
        raise _BadFileError(f"{problem} valid base64", fix)
    if inline.size > parameter.largest_file:
        fix = "make the file smaller, or send its URL where the model takes one"
        raise _BadFileError(f"has {inline.size} bytes", fix)
    if not inline.size and parameter.kind is Kind.BUNDLE:
        raise _BadFileError("is empty", "send the bytes of the whole file")


def _check_image(parameter: Parameter, inline: InlineFile) -> str:
    """Check an image and return its media type."""
    try:
        picture = read_picture(inline.file, inline.size)
    except BadImage as error:
        fix = "send the bytes of a whole JPEG, PNG or WebP file"
        raise _BadFileError(str(error), fix) from None
    pixels = picture.width * picture.height
    if pixels > (parameter.most_pixels or LARGEST_IMAGE_PIXELS):
        raise _BadFileError(f"has {pixels} pixels", "scale the image down")
    if min(picture.width, picture.height) < (parameter.shortest_side or 0):
        raise _BadFileError(f"has {picture.width} x {picture.height} pixels", "scale the image up")
    return picture.format.content_type


def _check_video(parameter: Parameter, inline: InlineFile) -> str:
    """Check a video and return its media type."""
    try:
        video = read_video(inline.file, inline.size)
    except BadVideo as error:
        raise _BadFileError(str(error), "send the bytes of a whole MP4 file") from None
    most = parameter.most_seconds
    if most is not None and video.seconds > most + _LAST_SOUND:
        raise _BadFileError(f"lasts {video.seconds:g} seconds", "send a shorter video")
    return MP4.content_type


def _allowed(parameter: Parameter) -> str:
    """Describe a file that is fine."""
    size = f"of at most {parameter.largest_file} bytes"
    form = "as base64" + (", or its http(s) URL" if parameter.urls else "")
    match parameter.kind:
        case Kind.VIDEO:
            seconds = parameter.most_seconds
            length = "" if seconds is None else f" and {seconds:g} seconds"
            return f"an MP4 video {size}{length}, {form}"
        case Kind.BUNDLE:
            return f"a draft's bundle {size}, {form}"
        case _:
            pixels = parameter.most_pixels or LARGEST_IMAGE_PIXELS
            least = parameter.shortest_side
            sides = f", with sides of at least {least} pixels" if least else ""
            return f"a JPEG, PNG or WebP image {size} and {pixels} pixels{sides}, {form}"
