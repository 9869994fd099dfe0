"""Checks images that come as base64, before anything is stored or queued."""

import io
from dataclasses import dataclass
from typing import IO, Final

from PIL import Image

from core.catalogue import LARGEST_IMAGE_BYTES, LARGEST_IMAGE_PIXELS
from service.inline import InlineImage
from service.problems import Complaint

_FORMATS: Final = {"JPEG": "image/jpeg", "PNG": "image/png"}
_WEBP: Final = "image/webp"
_WEBP_HEAD: Final = 30  # bytes
_VP8L_SIGNATURE: Final = 0x2F
_VP8L_HEAD: Final = 5  # bytes behind the chunk's own head
_ALLOWED: Final = (
    f"a JPEG, PNG or WebP image of at most {LARGEST_IMAGE_BYTES} bytes "
    f"and {LARGEST_IMAGE_PIXELS} pixels, as base64"
)


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image's bytes, in a file, and their SHA-256 and media type."""

    file: IO[bytes]
    sha256: bytes
    content_type: str


def prepare() -> None:
    """Load what reads images, so that no request waits for it."""
    Image.preinit()


def decode_image(path: str, text: str) -> InputImage | Complaint:
    """Decode one image in memory and check it.

    Args:
        path: The field, for a complaint.
        text: What `service.inline.InlineImage` takes.
    """
    image = InlineImage(io.BytesIO(), LARGEST_IMAGE_BYTES)
    image.feed(text)
    image.end()
    return check_image(path, image)


def check_image(path: str, image: InlineImage) -> InputImage | Complaint:
    """Check an image by its size and header; its pixels are not decoded.

    Args:
        path: The field, for a complaint.
        image: It was fed and ended.
    """
    if not image.is_base64:
        fix = "encode the image's bytes as standard base64, with its padding"
        return Complaint(path, "is neither an http(s) URL nor valid base64", _ALLOWED, fix)
    if image.size > LARGEST_IMAGE_BYTES:
        fix = "make the image smaller, or send its URL where the model takes one"
        return Complaint(path, f"has {image.size} bytes", _ALLOWED, fix)
    try:
        content_type, pixels = _look(image.file, image.size)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return _too_many_pixels(path, None)
    except (OSError, ValueError, SyntaxError):
        fix = "send the bytes of a whole image file"
        return Complaint(path, "is not an image that can be read", _ALLOWED, fix)
    if pixels > LARGEST_IMAGE_PIXELS:
        return _too_many_pixels(path, pixels)
    image.file.seek(0)
    return InputImage(image.file, image.sha256, content_type)


def _look(file: IO[bytes], size: int) -> tuple[str, int]:
    """Return the media type and the pixels of an image of `size` bytes.

    Raises:
        OSError: It is none, as Pillow says it.
        ValueError: It is none.
    """
    head = file.read(_WEBP_HEAD)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        if int.from_bytes(head[4:8], "little") + 8 > size:
            raise ValueError("the file is cut off")
        return _WEBP, _webp_pixels(head)
    file.seek(0)
    with Image.open(file, formats=list(_FORMATS)) as image:
        return _FORMATS[str(image.format)], image.width * image.height


def _webp_pixels(head: bytes) -> int:
    """Read a WebP's size (RFC 9649 sections 2.5 to 2.7), for Pillow reads the file whole for it."""
    kind, data = head[12:16], head[20:]
    if len(data) < (_VP8L_HEAD if kind == b"VP8L" else _WEBP_HEAD - 20):
        raise ValueError("no WebP frame")
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (4, 7))
    elif kind == b"VP8L" and data[0] == _VP8L_SIGNATURE:
        bits = int.from_bytes(data[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    else:
        raise ValueError("no WebP frame")
    return width * height


def _too_many_pixels(path: str, pixels: int | None) -> Complaint:
    detail = f"has {pixels} pixels" if pixels else "has far too many pixels"
    return Complaint(path, detail, _ALLOWED, "scale the image down")
