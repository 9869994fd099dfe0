"""Makes result files: valid PNGs of any wanted size."""

import math
import random
import struct
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def noise(size: int) -> bytes:
    """Return a PNG of about so many bytes; noise does not compress, so none is tried."""
    side = max(1, math.isqrt(size // 3))
    source = random.Random(size)  # noqa: S311 - the same picture in every run
    rows = b"".join(b"\0" + source.randbytes(3 * side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(rows, level=0))
    return _SIGNATURE + _chunk(b"IHDR", header) + pixels + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
