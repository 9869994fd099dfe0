"""Encodes an image as a file, cheaply enough for a machine with two cores."""

import io
import struct
import zlib

from PIL import Image, ImageChops

#: MIME type of every format of the API.
CONTENT_TYPES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "mp4": "video/mp4",
}

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: PNG's "Up" filter: each row is stored as its difference from the row above (PNG, 9.2).
PNG_FILTER_UP = b"\x02"


def encode(picture: Image.Image, output_format: str) -> bytes:
    """Return the image as a `jpeg`, `png` or `webp` file."""
    if output_format == "png":
        return _png(picture)
    buffer = io.BytesIO()
    if output_format == "webp":
        picture.save(buffer, "WEBP", quality=80, method=0)
    else:
        picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _png(picture: Image.Image) -> bytes:
    """Return an RGB image as PNG, several times faster than Pillow's encoder.

    Pillow tries every filter for every row; these images are smooth from top to bottom, so the "Up"
    filter alone does as well.
    """
    width, height = picture.size
    above = Image.new("RGB", picture.size)
    above.paste(picture, (0, 1))
    rows = ImageChops.subtract_modulo(picture, above).tobytes()
    stride = 3 * width
    filtered = b"".join(
        PNG_FILTER_UP + rows[start : start + stride] for start in range(0, stride * height, stride)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(filtered, level=1)
    return PNG_SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
