"""Checks a request's files, and prepares the request for display."""

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass

from PIL import Image

from sandbox.requests.clips import VideoInfo, read_video
from sandbox.requests.file_fields import InputFile, Picture, Place, Video
from sandbox.requests.sizes import Size
from sandbox.requests.validation import Request

#: Maximum input image in decoded bytes ("up to 20MB or 20 megapixels").
INPUT_BYTES_MAX = 20 * 1024 * 1024
#: Placeholder for a secret in the ledger.
MASK = "***"
BAD_IMAGE = "Invalid or corrupted image input"
BAD_VIDEO = "Invalid or corrupted video input"


@dataclass(frozen=True)
class FileInfo:
    """What is known of an input file that was sent as base64."""

    file: InputFile
    #: Sides of an image or video; None if it cannot be used, or is neither.
    size: Size | None
    video: VideoInfo | None
    data_bytes: int
    sha256: str


def inspect_files(request: Request) -> list[FileInfo]:
    """Read the files of the request that are no URLs, images only at their beginning."""
    infos = []
    for file in request.files:
        if not file.is_url:
            data = decoded(file.text)
            shown = file.text.encode() if data is None else data
            video = read_video(data) if data and isinstance(file.field, Video) else None
            size = video.size if video else _size(data, file)
            digest = hashlib.sha256(shown).hexdigest()
            infos.append(FileInfo(file, size, video, len(shown), digest))
    return infos


def problem(request: Request, infos: list[FileInfo]) -> str | None:
    """Return why the files cannot be used, as far as `inspect_files` has seen it."""
    for file in request.files:
        if file.is_url and not file.field.urls:
            return BAD_IMAGE
    for info in infos:
        if isinstance(info.file.field, Video) and info.video is None:
            return BAD_VIDEO
        if isinstance(info.file.field, Picture) and info.size is None:
            return BAD_IMAGE
    return None


def broken(request: Request) -> bool:
    """Whether an image of the request cannot be decoded completely; URLs are not fetched."""
    return not all(
        _readable(decoded(file.text))
        for file in request.files
        if isinstance(file.field, Picture) and not file.is_url
    )


def redacted_body(request: Request, infos: list[FileInfo]) -> dict[str, object]:
    """Return the body as it was sent, without its secret and with base64 shortened.

    Base64 becomes `{"bytes", "sha256"}` of the decoded file, or of the text if it cannot be
    decoded.
    """
    shown: dict[str, object] = dict(request.sent)
    for info in infos:
        name, *rest = info.file.place
        short = {"bytes": info.data_bytes, "sha256": info.sha256}
        shown[str(name)] = _with(shown[str(name)], tuple(rest), short)
    if shown.get("webhook_secret") is not None:
        shown["webhook_secret"] = MASK
    return shown


def _with(value: object, place: Place, new: object) -> object:
    """Return a value with another one at a place within its lists."""
    if not place or not isinstance(value, list):
        return new
    number, *rest = place
    return [
        _with(item, tuple(rest), new) if index == number else item
        for index, item in enumerate(value)
    ]


def decoded(text: str) -> bytes | None:
    """Return the decoded base64, with or without a data URL's prefix."""
    payload = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _size(data: bytes | None, file: InputFile) -> Size | None:
    """Return the image's sides, or None if it is not an image or beyond its field's bounds."""
    field = file.field
    if not data or len(data) > INPUT_BYTES_MAX or not isinstance(field, Picture):
        return None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
    # Pillow's decoders raise a dozen kinds of errors on broken files.
    except Exception:  # noqa: BLE001 - any error means that the image cannot be used
        return None
    within = min(width, height) >= field.shortest_side and width * height <= field.most_pixels
    return (width, height) if within else None


def _readable(data: bytes | None) -> bool:
    if data is None:
        return False
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
    except Exception:  # noqa: BLE001 - as in `_size`
        return False
    return True
