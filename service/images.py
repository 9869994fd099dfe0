"""Decodes and checks images that come as base64, before anything is stored or queued."""

import base64
import binascii
import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

from core.catalogue import LARGEST_IMAGE_BYTES, LARGEST_IMAGE_PIXELS
from service.problems import Complaint

_FORMATS: Final = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
_ALLOWED: Final = (
    f"a JPEG, PNG or WebP image of at most {LARGEST_IMAGE_BYTES} bytes "
    f"and {LARGEST_IMAGE_PIXELS} pixels, as base64"
)


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image's bytes and media type."""

    data: bytes
    content_type: str


def decode_image(path: str, text: str) -> InputImage | Complaint:
    """Decode one image and look at its header; its pixels are not decoded.

    Args:
        path: The field, for a complaint.
        text: Base64 (RFC 4648 section 4), with or without a `data:` prefix or line breaks.
    """
    encoded = text.partition(",")[2] if text[:5].lower() == "data:" else text
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        fix = "encode the image's bytes as standard base64, with its padding"
        return Complaint(path, "is neither an http(s) URL nor valid base64", _ALLOWED, fix)
    if len(data) > LARGEST_IMAGE_BYTES:
        fix = "make the image smaller, or send its URL where the model takes one"
        return Complaint(path, f"has {len(data)} bytes", _ALLOWED, fix)
    try:
        with Image.open(io.BytesIO(data), formats=list(_FORMATS)) as image:
            pixels, name = image.width * image.height, str(image.format)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return _too_many_pixels(path, None)
    except (OSError, ValueError, SyntaxError):
        fix = "send the bytes of a whole image file"
        return Complaint(path, "is not an image that can be read", _ALLOWED, fix)
    if pixels > LARGEST_IMAGE_PIXELS:
        return _too_many_pixels(path, pixels)
    return InputImage(data, _FORMATS[name])


def _too_many_pixels(path: str, pixels: int | None) -> Complaint:
    detail = f"has {pixels} pixels" if pixels else "has far too many pixels"
    return Complaint(path, detail, _ALLOWED, "scale the image down")
