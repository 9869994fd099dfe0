"""Checks a request's images, and prepares the request for display."""

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass

from PIL import Image

from sandbox.requests.fields import Picture
from sandbox.requests.validation import Request

#: Maximum input image in decoded bytes ("up to 20MB or 20 megapixels").
INPUT_BYTES_MAX = 20 * 1024 * 1024
#: Maximum input image in pixels.
INPUT_PIXELS_MAX = 20_000_000
#: Placeholder for a secret in the ledger.
MASK = "***"


def is_url(text: str) -> bool:
    """Whether an image field holds a URL rather than base64."""
    return text.startswith(("http://", "https://"))


@dataclass(frozen=True)
class ImageInfo:
    """What the beginning of an input image tells; the size is None if it is not an image."""

    name: str
    size: tuple[int, int] | None
    data_bytes: int
    sha256: str


def inspect_images(request: Request) -> list[ImageInfo]:
    """Read the beginning of every image of the request that is not a URL."""
    looks = []
    for name, text in request.pictures.items():
        if not is_url(text):
            data = _decoded(text)
            shown = text.encode() if data is None else data
            digest = hashlib.sha256(shown).hexdigest()
            looks.append(ImageInfo(name, _size(data), len(shown), digest))
    return looks


def cannot_be_used(request: Request, looks: list[ImageInfo]) -> bool:
    """Whether the beginnings already show that the images cannot be used."""
    by_address = any(
        isinstance(field := request.model.fields[name], Picture) and not field.urls and is_url(text)
        for name, text in request.pictures.items()
    )
    return by_address or any(look.size is None for look in looks)


def broken(request: Request) -> bool:
    """Whether an image of the request cannot be decoded completely; URLs are not fetched."""
    texts = (text for text in request.pictures.values() if not is_url(text))
    return not all(_readable(_decoded(text)) for text in texts)


def redacted_body(request: Request, looks: list[ImageInfo]) -> dict[str, object]:
    """Return the body as it was sent, without its secret and with base64 shortened.

    Base64 becomes `{"bytes", "sha256"}` of the decoded image, or of the text if it cannot be
    decoded.
    """
    short = {look.name: {"bytes": look.data_bytes, "sha256": look.sha256} for look in looks}
    shown = {**request.sent, **short}
    if shown.get("webhook_secret") is not None:
        shown["webhook_secret"] = MASK
    return shown


def _decoded(text: str) -> bytes | None:
    """Return the decoded base64, with or without a data URL's prefix."""
    payload = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _size(data: bytes | None) -> tuple[int, int] | None:
    """Return the image's sides, or None if it is not an image or too large."""
    if not data or len(data) > INPUT_BYTES_MAX:
        return None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
    # Pillow's decoders raise a dozen kinds of errors on broken files.
    except Exception:  # noqa: BLE001 - any error means that the image cannot be used
        return None
    return (width, height) if width * height <= INPUT_PIXELS_MAX else None


def _readable(data: bytes | None) -> bool:
    if data is None:
        return False
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
    except Exception:  # noqa: BLE001 - as in `_size`
        return False
    return True
