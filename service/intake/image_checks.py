"""Validates base64 images before anything is stored or queued."""

import io
from dataclasses import dataclass
from typing import IO, Final

from core.media.image_formats import BadImage, read_picture
from core.provider.catalogue import LARGEST_IMAGE_BYTES, LARGEST_IMAGE_PIXELS
from service.body.inline_images import InlineImage
from service.http.problems import FieldError

_ALLOWED: Final = (
    f"a JPEG, PNG or WebP image of at most {LARGEST_IMAGE_BYTES} bytes "
    f"and {LARGEST_IMAGE_PIXELS} pixels, as base64"
)


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image in a file, with its SHA-256 and media type."""

    file: IO[bytes]
    sha256: bytes
    content_type: str


def decode_image(path: str, text: str) -> InputImage | FieldError:
    """Decode an image in memory and validate it.

    Args:
        path: The field, for errors.
        text: What `service.body.inline_images.InlineImage` takes.
    """
    image = InlineImage(io.BytesIO(), LARGEST_IMAGE_BYTES)
    image.feed(text)
    image.end()
    return check_image(path, image)


def check_image(path: str, image: InlineImage) -> InputImage | FieldError:
    """Validate that an image is complete and small enough; its pixels are not decoded.

    Args:
        path: The field, for errors.
        image: The complete image.
    """
    if not image.is_base64:
        fix = "encode the image's bytes as standard base64, with its padding"
        return FieldError(path, "is neither an http(s) URL nor valid base64", _ALLOWED, fix)
    if image.size > LARGEST_IMAGE_BYTES:
        fix = "make the image smaller, or send its URL where the model takes one"
        return FieldError(path, f"has {image.size} bytes", _ALLOWED, fix)
    try:
        picture = read_picture(image.file, image.size)
    except BadImage as error:
        fix = "send the bytes of a whole JPEG, PNG or WebP file"
        return FieldError(path, str(error), _ALLOWED, fix)
    pixels = picture.width * picture.height
    if pixels > LARGEST_IMAGE_PIXELS:
        return FieldError(path, f"has {pixels} pixels", _ALLOWED, "scale the image down")
    image.file.seek(0)
    return InputImage(image.file, image.sha256, picture.format.content_type)
