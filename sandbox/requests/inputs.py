"""Looks at the images a request brings along, and at what of a request may be shown later."""

import base64
import binascii
import hashlib
import io
from dataclasses import dataclass

from PIL import Image

from sandbox.requests.fields import Picture
from sandbox.requests.validation import Request

#: Largest input image in bytes after base64 is undone ("up to 20MB or 20 megapixels").
INPUT_BYTES_MAX = 20 * 1024 * 1024
#: Largest input image in pixels.
INPUT_PIXELS_MAX = 20_000_000
#: What stands in the ledger for a secret.
MASK = "***"


def is_url(text: str) -> bool:
    """Whether an image field holds an address rather than base64."""
    return text.startswith(("http://", "https://"))


@dataclass(frozen=True)
class Look:
    """What a glance at an image that came along tells; the size is None if it is none."""

    name: str
    size: tuple[int, int] | None
    data_bytes: int
    sha256: str


def glance(request: Request) -> list[Look]:
    """Look at every image of the request that is not an address, at its beginning only."""
    looks = []
    for name, text in request.pictures.items():
        if not is_url(text):
            data = _decoded(text)
            shown = text.encode() if data is None else data
            digest = hashlib.sha256(shown).hexdigest()
            looks.append(Look(name, _size(data), len(shown), digest))
    return looks


def unusable(request: Request, looks: list[Look]) -> bool:
    """Whether a glance already tells that the request's images cannot be worked with."""
    by_address = any(
        isinstance(field := request.model.fields[name], Picture) and not field.urls and is_url(text)
        for name, text in request.pictures.items()
    )
    return by_address or any(look.size is None for look in looks)


def broken(request: Request) -> bool:
    """Whether an image of the request cannot be read to its end; addresses are not fetched."""
    texts = (text for text in request.pictures.values() if not is_url(text))
    return not all(_readable(_decoded(text)) for text in texts)


def presentable(request: Request, looks: list[Look]) -> dict[str, object]:
    """Return the body as it was sent, without its secret and with base64 in short.

    Base64 becomes `{"bytes", "sha256"}` of the decoded image, or of the text where
    it cannot be decoded.
    """
    short = {look.name: {"bytes": look.data_bytes, "sha256": look.sha256} for look in looks}
    shown = {**request.sent, **short}
    if shown.get("webhook_secret") is not None:
        shown["webhook_secret"] = MASK
    return shown


def _decoded(text: str) -> bytes | None:
    """Return the bytes behind base64, with or without a data URL's prefix."""
    payload = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _size(data: bytes | None) -> tuple[int, int] | None:
    """Return the sides of the image, or None if it is none or too large."""
    if not data or len(data) > INPUT_BYTES_MAX:
        return None
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
    # Pillow's decoders raise a dozen kinds of errors on broken files.
    except Exception:  # noqa: BLE001 - whatever it was, the image cannot be used
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
