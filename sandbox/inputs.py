"""Looks at the images a request brings along, and at what of a request may be shown later."""

import base64
import binascii
import hashlib
import io
from collections.abc import Mapping

from PIL import Image

from sandbox.fields import Picture
from sandbox.validation import Request

#: Largest input image in bytes after base64 is undone ("up to 20MB or 20 megapixels").
INPUT_BYTES_MAX = 20 * 1024 * 1024
#: Largest input image in pixels.
INPUT_PIXELS_MAX = 20_000_000
#: What stands in the ledger for a secret.
MASK = "***"


def is_url(text: str) -> bool:
    """Whether an image field holds an address rather than base64."""
    return text.startswith(("http://", "https://"))


def usable(request: Request) -> bool:
    """Whether every image of the request can be worked with; addresses are not fetched."""
    for name, text in request.pictures.items():
        field = request.model.fields[name]
        by_url = isinstance(field, Picture) and field.urls and is_url(text)
        if not by_url and not _is_image(_decoded(text)):
            return False
    return True


def presentable(request: Request) -> dict[str, object]:
    """Return the body as it was sent, without its secret and with base64 in short.

    Base64 becomes `{"bytes", "sha256"}` of the decoded image, or of the text where
    it cannot be decoded.
    """
    shown = dict(request.sent)
    for name, text in request.pictures.items():
        if not is_url(text):
            data = _decoded(text)
            shown[name] = _short(text.encode() if data is None else data)
    if shown.get("webhook_secret") is not None:
        shown["webhook_secret"] = MASK
    return shown


def _short(data: bytes) -> Mapping[str, object]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _decoded(text: str) -> bytes | None:
    """Return the bytes behind base64, with or without a data URL's prefix."""
    payload = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode("".join(payload.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _is_image(data: bytes | None) -> bool:
    if not data or len(data) > INPUT_BYTES_MAX:
        return False
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > INPUT_PIXELS_MAX:
                return False
            picture.load()
    # Pillow's decoders raise a dozen kinds of errors on broken files.
    except Exception:  # noqa: BLE001 - whatever it was, the image cannot be used
        return False
    return True
