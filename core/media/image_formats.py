"""Reads an image file's format, dimensions and end, without decoding pixels.

One rule for input images and results: a file is complete if its format's structure leads to the end
of its first picture, and its data can be enough for the size that it states. Data after that end is
harmless: padding, or further pictures of a camera (CIPA DC-007, "MPO"). Files are read in pieces,
in time bounded by their size.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Final
from zlib import crc32


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A supported format."""

    name: str
    content_type: str
    extension: str


JPEG: Final = FileFormat("JPEG", "image/jpeg", "jpg")
PNG: Final = FileFormat("PNG", "image/png", "png")
WEBP: Final = FileFormat("WebP", "image/webp", "webp")
#: `output_format` value of the provider -> format.
FORMATS: Final[Mapping[str, FileFormat]] = {"jpeg": JPEG, "png": PNG, "webp": WEBP}

_PIECE: Final = 256 * 1024  # bytes read at a time
#: Most parts of a file; real ones have some thousands, and each costs about a microsecond.
_MOST_PARTS: Final = 100_000
_JPEG_START: Final = b"\xff\xd8\xff"
_PNG_START: Final = b"\x89PNG\r\n\x1a\n"
#: Finds a marker in image data: FF 00 is data, FF D0 to D7 are restarts, FF FF is padding.
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_TEM, _SOI, _EOI, _SOS, _APP0 = 0x01, 0xD8, 0xD9, 0xDA, 0xE0  # ITU-T T.81, table B.1
_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
_SAMPLE_BITS: Final = 8
#: Color type -> bits per sample (PNG specification, section 11.2.2).
_PNG_DEPTHS: Final[Mapping[int, tuple[int, ...]]] = {
    0: (1, 2, 4, 8, 16),
    2: (8, 16),
    3: (1, 2, 4, 8),
    4: (8, 16),
    6: (8, 16),
}
#: Color type -> samples per pixel.
_PNG_SAMPLES: Final[Mapping[int, int]] = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
#: Most bytes of pixels per compressed byte: deflate encodes 258 bytes in two bits at best.
_DEFLATE_MOST: Final = 1032
#: Most pixels per byte of a Huffman-coded JPEG (SOF0 to SOF2): a block of 8 x 8 samples takes at
#: least one bit, and a sample stands for at most 16 pixels.
_HUFFMAN: Final = frozenset({0xC0, 0xC1, 0xC2})
_HUFFMAN_MOST: Final = 8 * 64 * 16
_VP8L_SIGNATURE: Final = 0x2F
_VP8_START: Final = b"\x9d\x01\x2a"

#: Signatures of unsupported formats: offset, bytes, name.
_OTHERS: Final = (
    *((0, b"GIF8", "GIF"), (0, b"BM", "BMP"), (0, b"%PDF", "PDF"), (0, b"<svg", "SVG")),
    *((0, b"II*\x00", "TIFF"), (0, b"MM\x00*", "TIFF"), (0, b"\x00\x00\x01\x00", "ICO")),
    *((4, b"ftypavi", "AVIF"), (4, b"ftyphei", "HEIC"), (4, b"ftyphev", "HEIC")),
    *((4, b"ftypmif1", "HEIF"), (4, b"JXL ", "JPEG XL"), (0, b"\xff\x0a", "JPEG XL")),
    *((4, b"jP  ", "JPEG 2000"), (0, b"<!doctype html", "HTML"), (0, b"<html", "HTML")),
)


class BadImage(ValueError):
    """The file is not a supported image, or incomplete; the message continues a field's name."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The first picture of a complete file; dimensions in pixels, `end` in bytes."""

    format: FileFormat
    width: int
    height: int
    end: int


def read_picture(file: IO[bytes], size: int) -> Picture:
    """Find the first picture of a file.

    Args:
        file: A seekable file.
        size: Its size in bytes.

    Raises:
        BadImage: It is not a complete JPEG, PNG or WebP.
        OSError: It cannot be read.
    """
    file.seek(0)
    head = file.read(32)
    for begins, read in _READERS:
        if begins(head):
            picture = read(file, size)
            if not picture.width or not picture.height:
                raise BadImage("is not an image: it has no pixels")
            return picture
    raise BadImage(_other(head))


def begins_as_image(head: bytes) -> bool:
    """Return whether a file starts like a supported format; 12 bytes are enough."""
    return any(begins(head) for begins, _ in _READERS)


def _other(head: bytes) -> str:
    """Describe an unsupported file."""
    low = head.lstrip().lower()
    for offset, mark, name in _OTHERS:
        text = mark.startswith(b"<")
        if low.startswith(mark) if text else head.startswith(mark, offset):
            return f"is {name}, not JPEG, PNG or WebP"
    return "is not an image"


def _cut(form: FileFormat) -> BadImage:
    return BadImage(f"is not a whole image: the {form.name} is cut off")


def _broken(form: FileFormat, what: str) -> BadImage:
    return BadImage(f"is not a whole image: the {form.name} {what}")


def _too_little(form: FileFormat, frame: tuple[int, int]) -> BadImage:
    return _broken(form, f"has too little data for {frame[0]} x {frame[1]} pixels")


class _Markers:
    """Iterates over the markers of a JPEG."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._piece = b""
        self._start = 0  # offset of the piece

    def next(self, at: int) -> tuple[int, int]:
        """Return the next marker at or after `at`, and the offset of its segment.

        Raises:
            BadImage: There is no further marker.
        """
        while True:
            if not self._start <= at < self._start + len(self._piece) - 1:
                self._read(at)
            if found := _MARKER.search(self._piece, at - self._start):
                return self._piece[found.end() - 1], self._start + found.end()
            # A marker's first byte may be the last byte of the piece.
            at = self._start + len(self._piece) - 1

    def at(self, at: int, count: int) -> bytes:
        """Return `count` bytes at offset `at`.

        Raises:
            BadImage: There are fewer.
        """
        if not self._start <= at <= self._start + len(self._piece) - count:
            self._read(at)
        place = at - self._start
        data = self._piece[place : place + count]
        if len(data) < count:
            raise _cut(JPEG)
        return data

    def _read(self, at: int) -> None:
        self._file.seek(at)
        self._start, self._piece = at, self._file.read(_PIECE)
        if len(self._piece) < 2:  # noqa: PLR2004 - a marker's bytes
            raise _cut(JPEG)


def _jpeg(file: IO[bytes], _size: int) -> Picture:
    """Walk the markers; a thumbnail is inside a segment, which is skipped as a whole."""
    markers, at = _Markers(file), 2
    frame: tuple[int, int] | None = None
    scanned, most = False, float("inf")  # pixels per byte
    for _ in range(_MOST_PARTS):
        marker, at = markers.next(at)
        if marker == _EOI:
            if frame is None or not scanned:
                raise _broken(JPEG, "contains no picture")
            if frame[0] * frame[1] > at * most:
                raise _too_little(JPEG, frame)
            return Picture(JPEG, *frame, at)
        if marker == _TEM:
            continue
        if marker < min(_SIZES) or marker == _SOI:
            raise _broken(JPEG, "is damaged")
        length = int.from_bytes(markers.at(at, 2), "big")
        if marker in _SIZES:
            frame = _frame(markers.at(at, 8))
            most = _HUFFMAN_MOST if marker in _HUFFMAN else most
        scanned = scanned or marker == _SOS
        at += max(2, length)
    raise _broken(JPEG, "has too many parts")


def _frame(data: bytes) -> tuple[int, int]:
    """Parse width and height of a frame (ITU-T T.81, B.2.2)."""
    bits, parts = data[2], data[7]
    if bits != _SAMPLE_BITS or parts not in (1, 3, 4):
        raise BadImage(f"is an unsupported JPEG with {bits} bits and {parts} color components")
    return int.from_bytes(data[5:7], "big"), int.from_bytes(data[3:5], "big")


def _png(file: IO[bytes], _size: int) -> Picture:
    """Walk the chunks and verify their checksums (PNG specification, chunk layout)."""
    file.seek(len(_PNG_START))
    frame: tuple[int, int] | None = None
    depth = filled = 0  # bits per pixel, bytes of compressed pixels
    for _ in range(_MOST_PARTS):
        head = file.read(8)
        if len(head) < 8:  # noqa: PLR2004 - a chunk's length and name
            raise _cut(PNG)
        name, start = head[4:], _checked_chunk(file, head)
        if frame is None:
            if name != b"IHDR":
                raise _broken(PNG, "does not start with its header")
            frame = _png_frame(start)
            depth = start[8] * _PNG_SAMPLES[start[9]]
        filled += int.from_bytes(head[:4], "big") if name == b"IDAT" else 0
        if name == b"IEND":
            if not filled:
                raise _broken(PNG, "contains no picture")
            if frame[0] * frame[1] * depth > 8 * filled * _DEFLATE_MOST:
                raise _too_little(PNG, frame)
            return Picture(PNG, *frame, file.tell())
    raise _broken(PNG, "has too many parts")


def _checked_chunk(file: IO[bytes], head: bytes) -> bytes:
    """Read a chunk and verify its checksum; return its first bytes."""
    left, check, start = int.from_bytes(head[:4], "big"), crc32(head[4:]), b""
    while part := file.read(min(left, _PIECE)):
        check, left = crc32(part, check), left - len(part)
        start = start or part[:13]
    stated = file.read(4)
    if left or len(stated) < 4:  # noqa: PLR2004 - a checksum's bytes
        raise _cut(PNG)
    if stated != check.to_bytes(4, "big"):
        raise _broken(PNG, "has a chunk with a wrong checksum")
    return start


def _png_frame(data: bytes) -> tuple[int, int]:
    if len(data) < 13 or data[8] not in _PNG_DEPTHS.get(data[9], ()):  # noqa: PLR2004 - IHDR's size
        raise _broken(PNG, "has an invalid header")
    return int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")


def _webp(file: IO[bytes], size: int) -> Picture:
    """Walk the chunks to the end that the file states (RFC 9649 sections 2.3 and 2.4)."""
    file.seek(4)
    end = int.from_bytes(file.read(4), "little") + 8
    if end > size:
        raise _cut(WEBP)
    frame: tuple[int, int] | None = None
    at, filled = 12, False
    for _ in range(_MOST_PARTS):
        if at + 8 > end:
            break
        file.seek(at)
        head = file.read(18)
        name, length = head[:4], int.from_bytes(head[4:8], "little")
        at += 8 + length
        if at > end:
            raise _cut(WEBP)
        frame = frame or _webp_frame(name, head[8 : 8 + length])
        filled = filled or name in (b"VP8 ", b"VP8L", b"ANMF")
        at += length % 2
    if frame is None or not filled or at + 8 <= end:
        raise _broken(WEBP, "contains no picture")
    return Picture(WEBP, *frame, end)


def _webp_frame(name: bytes, data: bytes) -> tuple[int, int]:
    """Parse a picture's dimensions from the first chunk (RFC 9649 sections 2.5 to 2.7)."""
    if name == b"VP8X" and len(data) >= 10:  # noqa: PLR2004 - the chunk's size
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (4, 7))
    elif name == b"VP8L" and len(data) >= 5 and data[0] == _VP8L_SIGNATURE:  # noqa: PLR2004 - likewise
        bits = int.from_bytes(data[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif name == b"VP8 " and len(data) >= 10 and data[3:6] == _VP8_START:  # noqa: PLR2004 - likewise
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    else:
        raise _broken(WEBP, "contains no picture")
    return width, height


_Begins = Callable[[bytes], bool]
_READERS: Final[tuple[tuple[_Begins, Callable[[IO[bytes], int], Picture]], ...]] = (
    (lambda head: head.startswith(_JPEG_START), _jpeg),
    (lambda head: head.startswith(_PNG_START), _png),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", _webp),
)
