"""Picture files of many kinds, drawn by Pillow or put together by hand."""

import base64
import io
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from PIL import Image

#: A photo as cameras write it: a JPEG with a second picture behind the first (MPO).
PHOTO: Final = Path(__file__).parent / "cases" / "photo-mpo.jpg"
#: Files by what is special of them, drawn when they are asked for.
Kinds = Mapping[str, Callable[[], bytes]]


def drawn(kind: str, size: tuple[int, int] = (320, 200), mode: str = "RGB", **how: Any) -> bytes:
    """Return a file in a format of Pillow's; noise, so that it is not small."""
    file = io.BytesIO()
    Image.effect_noise(size, 80).convert(mode).save(file, kind, **how)
    return file.getvalue()


def several(kind: str, **how: Any) -> bytes:
    """Return a file of three pictures."""
    frames = [Image.effect_noise((320, 200), 80).convert("RGB") for _ in range(3)]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], **how)
    return file.getvalue()


def with_thumbnail() -> bytes:
    """Return a JPEG with a whole JPEG, its end included, in its EXIF."""
    segment = b"Exif\x00\x00" + drawn("JPEG", (40, 30))
    whole = drawn("JPEG")
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + whole[2:]


def with_fill_bytes() -> bytes:
    """Return a JPEG whose markers have fill bytes before them (ITU-T T.81, B.1.1.2)."""
    whole = drawn("JPEG")
    return whole[:2] + b"\xff" * 7 + whole[2:-2] + b"\xff" * 5 + whole[-2:]


def with_a_tail(chunk: bytes = b"tail") -> bytes:
    """Return a WebP with one more chunk than readers know."""
    whole = drawn("WEBP")
    body = whole[8:] + chunk + struct.pack("<I", 3) + b"abc\x00"
    return b"RIFF" + struct.pack("<I", len(body)) + body


def deep_png() -> bytes:
    """Return a PNG of 16 bits a sample."""
    file = io.BytesIO()
    Image.new("I;16", (320, 200), 40_000).save(file, "PNG")
    return file.getvalue()


def split_png(size: int) -> bytes:
    """Return a PNG whose data is in chunks of so many bytes."""
    whole = drawn("PNG")
    out, at = whole[:8], 8
    while at < len(whole):
        length = int.from_bytes(whole[at : at + 4], "big")
        name, data = whole[at + 4 : at + 8], whole[at + 8 : at + 8 + length]
        step = size if name == b"IDAT" else max(1, length)
        for start in range(0, max(1, length), step):
            part = name + data[start : start + step]
            out += struct.pack(">I", len(part) - 4) + part + struct.pack(">I", crc32(part))
        at += 12 + length
    return out


#: Whole JPEGs whose first picture has 320 x 200 pixels.
JPEGS: Final[Kinds] = {
    "plain": lambda: drawn("JPEG"),
    "grey": lambda: drawn("JPEG", mode="L"),
    "CMYK, with Adobe's marker": lambda: drawn("JPEG", mode="CMYK"),
    "progressive": lambda: drawn("JPEG", progressive=True),
    "restarts": lambda: drawn("JPEG", restart_marker_blocks=1),
    "thumbnail": with_thumbnail,
    "fill bytes": with_fill_bytes,
    "comment with an end in it": lambda: drawn("JPEG", comment=b"\xff\xd9\xff\xd8" * 50),
    "colour profile": lambda: drawn("JPEG", icc_profile=b"\xff\xd9" * 90_000),
    "larger than a piece": lambda: drawn("JPEG", quality=100, comment=bytes(60_000)) + bytes(9),
    "further pictures": lambda: several("MPO"),
    "one byte of padding": lambda: drawn("JPEG") + b"\x00",
    "64 kB of zeros": lambda: drawn("JPEG") + bytes(65_536),
    "a megabyte of blanks": lambda: drawn("JPEG") + b" " * 1_000_000,
    "a movie behind it": lambda: drawn("JPEG") + b"\x00\x00\x00\x18ftypmp42" + bytes(5000),
}
#: Whole PNGs of 320 x 200 pixels.
PNGS: Final[Kinds] = {
    "plain": lambda: drawn("PNG"),
    "grey": lambda: drawn("PNG", mode="L"),
    "one bit": lambda: drawn("PNG", mode="1"),
    "palette": lambda: drawn("PNG", mode="P"),
    "transparent": lambda: drawn("PNG", mode="RGBA"),
    "16 bits": deep_png,
    "animated": lambda: several("PNG"),
    "small chunks": lambda: split_png(100),
    "padding": lambda: drawn("PNG") + bytes(5000),
}
#: Whole WebPs of 320 x 200 pixels.
WEBPS: Final[Kinds] = {
    "lossy": lambda: drawn("WEBP"),
    "lossless": lambda: drawn("WEBP", lossless=True),
    "transparent": lambda: drawn("WEBP", mode="RGBA"),
    "animated": lambda: several("WEBP"),
    "with a profile": lambda: drawn("WEBP", icc_profile=b"p" * 501),
    "a chunk that nobody knows": with_a_tail,
    "padding": lambda: drawn("WEBP") + bytes(5000),
}
#: Files of other formats, by the name that is told.
OTHERS: Final[Mapping[str, bytes]] = {
    "GIF": drawn("GIF"),
    "BMP": drawn("BMP"),
    "TIFF": drawn("TIFF"),
    "ICO": drawn("ICO"),
    "AVIF": b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00" + bytes(400),
    "HEIC": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00" + bytes(400),
    "JPEG XL": b"\x00\x00\x00\x0cJXL \r\n\x87\n" + bytes(400),
    "JPEG 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(400),
    "PDF": b"%PDF-1.7\n" + bytes(400),
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "HTML": b"\r\n <!DOCTYPE html><html><body>sorry</body></html>",
}


def inline(data: bytes) -> str:
    """Return a file as base64."""
    return base64.b64encode(data).decode()
