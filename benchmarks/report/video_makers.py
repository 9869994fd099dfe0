"""Makes result files: mp4s (ISO/IEC 14496-12) of any wanted size, with noise as their pictures."""

import random
import struct
from pathlib import Path
from typing import Final

_WIDTH, _HEIGHT, _FRAMES_PER_SECOND, _SECONDS = 1280, 736, 24, 5
_FRAMES: Final = _FRAMES_PER_SECOND * _SECONDS
_PIECE: Final = 1024 * 1024  # bytes
#: A transformation that changes nothing.
_UNITY: Final = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
_NO_LANGUAGE: Final = 0x55C4


def write(path: Path, size: int) -> None:
    """Write an mp4 of so many bytes, in pieces; it needs about 600.

    It is complete, but nothing can be seen in it: noise does not compress, so none is tried.
    """
    source = random.Random(size)  # noqa: S311 - the same video in every run
    # The offset of the frames does not change the head's length.
    start = len(_head(0, 0)) + 8
    left = size - start
    with path.open("wb") as file:
        file.write(_head(start, left // _FRAMES) + struct.pack(">I4s", left + 8, b"mdat"))
        while left:
            piece = min(left, _PIECE)
            file.write(source.randbytes(piece))
            left -= piece


def _head(start: int, frame: int) -> bytes:
    """Return all before the frames: where they start, and how many bytes each has."""
    scale, length = _FRAMES_PER_SECOND, _FRAMES
    movie = _full_box(
        b"mvhd",
        struct.pack(">4IIH", 0, 0, scale, length, 1 << 16, 1 << 8),
        bytes(10) + _UNITY + bytes(24) + _u32(2),
    )
    track = _full_box(
        b"tkhd",
        struct.pack(">5I", 0, 0, 1, 0, length) + bytes(16) + _UNITY,
        _u32(_WIDTH << 16, _HEIGHT << 16),
        flags=7,  # in use
    )
    media = _box(
        b"mdia",
        _full_box(b"mdhd", struct.pack(">4I2H", 0, 0, scale, length, _NO_LANGUAGE, 0)),
        _full_box(b"hdlr", bytes(4) + b"vide" + bytes(12) + b"noise\0"),
        _box(
            b"minf",
            _full_box(b"vmhd", bytes(8), flags=1),
            _box(b"dinf", _full_box(b"dref", _u32(1), _full_box(b"url ", flags=1))),
            _samples(start, frame),
        ),
    )
    kind = _box(b"ftyp", b"isom", _u32(0x200), b"isommp41")
    return kind + _box(b"moov", movie, _box(b"trak", track, media))


def _samples(start: int, frame: int) -> bytes:
    """Return the tables of frames: all in one chunk, each of the same length and size."""
    entry = _box(
        b"avc1",
        bytes(6) + b"\0\1" + bytes(16) + struct.pack(">2H", _WIDTH, _HEIGHT),
        _u32(72 << 16, 72 << 16, 0) + b"\0\1" + bytes(32) + struct.pack(">Hh", 24, -1),
    )
    return _box(
        b"stbl",
        _full_box(b"stsd", _u32(1), entry),
        _full_box(b"stts", _u32(1, _FRAMES, 1)),
        _full_box(b"stsc", _u32(1, 1, _FRAMES, 1)),
        _full_box(b"stsz", _u32(frame, _FRAMES)),
        _full_box(b"stco", _u32(1, start)),
    )


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full_box(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    """Return a box with version 0 and flags."""
    return _box(kind, _u32(flags), *parts)


def _u32(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)
