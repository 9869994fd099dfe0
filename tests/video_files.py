"""MP4 files of many kinds, put together box by box; their samples are noise."""

import struct
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

#: Files by what is special of them, made when they are asked for.
Kinds = Mapping[str, Callable[[], bytes]]
#: Bytes that compress to nothing less; the same at each run.
NOISE: Final = Random(1).randbytes(4_000_000)  # noqa: S311 - see above
_SCALE: Final = 12_288  # ticks per second
_FRAME: Final = 512  # ticks of a frame at 24 a second
_BRANDS: Final = b"isom" + bytes(4) + b"isommp41"


def box(kind: bytes, *content: bytes, long: bool = False) -> bytes:
    """Return a box; `long` states its length in 64 bits."""
    body = b"".join(content)
    if long:
        return struct.pack(">I4sQ", 1, kind, len(body) + 16) + body
    return struct.pack(">I4s", len(body) + 8, kind) + body


def full(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    """Return a box with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def ftyp(brand: bytes = b"isom") -> bytes:
    """Return the box that a file begins with."""
    return box(b"ftyp", brand + _BRANDS[4:])


def header(kind: bytes, scale: int, ticks: int, version: int = 0) -> bytes:
    """Return `mvhd` or `mdhd`, with times of 64 bits in version 1."""
    times = struct.pack(">QQIQ" if version else ">IIII", 1, 2, scale, ticks)
    return full(kind, times, bytes(80 if kind == b"mvhd" else 4), version=version)


def tkhd(number: int, version: int = 0, size: tuple[int, int] = (0, 0)) -> bytes:
    """Return a track's header; sound has no size."""
    times = struct.pack(">QQII" if version else ">IIII", 1, 2, number, 0)
    shown = struct.pack(">II", size[0] << 16, size[1] << 16)
    return full(b"tkhd", times, bytes(60), shown, version=version, flags=3)


def stsd(kind: bytes, size: tuple[int, int]) -> bytes:
    """Return the description of samples: pictures of a size, or sound."""
    if kind == b"vide":
        entry = box(b"mp4v", bytes(24), struct.pack(">HH", *size), bytes(50))
    else:
        entry = box(b"sowt", bytes(8), bytes(8), struct.pack(">HHHHI", 2, 16, 0, 0, 48_000 << 16))
    return full(b"stsd", struct.pack(">I", 1), entry)


def trak(
    kind: bytes,
    runs: Sequence[tuple[int, int]],
    offsets: Sequence[int],
    *,
    number: int = 1,
    size: tuple[int, int] = (320, 192),
    version: int = 0,
    wide: bool = False,
    scale: int = _SCALE,
) -> bytes:
    """Return a track: runs of samples (how many, ticks of each) and where its chunks are."""
    ticks = sum(count * each for count, each in runs)
    table = b"".join(struct.pack(">II", *run) for run in runs)
    chunks = b"".join(struct.pack(">Q" if wide else ">I", offset) for offset in offsets)
    samples = sum(count for count, _ in runs)
    stbl = box(
        b"stbl",
        stsd(kind, size),
        full(b"stts", struct.pack(">I", len(runs)), table),
        full(b"stsz", struct.pack(">II", 100, samples)),
        full(b"co64" if wide else b"stco", struct.pack(">I", len(offsets)), chunks),
    )
    media = (
        header(b"mdhd", scale, ticks, version),
        full(b"hdlr", bytes(4), kind, bytes(12), b"handler\0"),
        box(b"minf", box(b"dinf", bytes(28)), stbl),
    )
    shown = size if kind == b"vide" else (0, 0)
    return box(b"trak", tkhd(number, version, shown), box(b"edts", bytes(28)), box(b"mdia", *media))


def video(
    seconds: float = 5.0,
    *,
    size: tuple[int, int] = (320, 192),
    sound: bool = True,
    noise: int = 4000,
    version: int = 0,
    wide: bool = False,
) -> bytes:
    """Return a video of 24 frames a second whose samples come first."""
    start = ftyp() + box(b"mdat", NOISE[:noise])
    chunks = [len(ftyp()) + 8, len(ftyp()) + 8 + noise // 2]
    frames = round(seconds * 24)
    tracks = [
        trak(b"vide", [(frames, _FRAME)], chunks, size=size, version=version, wide=wide),
    ]
    if sound:
        ticks = round(seconds * 48_000)
        tracks += [trak(b"soun", [(ticks, 1)], chunks, number=2, version=version, scale=48_000)]
    head = header(b"mvhd", 1000, round(seconds * 1000), version)
    return start + box(b"moov", head, *tracks, box(b"udta", bytes(30)))


def large_video(zeros: int) -> tuple[bytes, int]:
    """Return the start of a video of 5 seconds, and how many zeros follow it."""
    moov = box(b"moov", header(b"mvhd", 1000, 5000), trak(b"vide", [(120, _FRAME)], [1000]))
    return ftyp() + moov + struct.pack(">IIQ", 1, int.from_bytes(b"mdat", "big"), zeros + 16), zeros


def index_first() -> bytes:
    """Return a video that can be played while it arrives: its tables come before its samples."""
    moov = box(
        b"moov", header(b"mvhd", 1000, 5000), trak(b"vide", [(120, _FRAME)], [1000], number=1)
    )
    return ftyp() + moov + box(b"free", bytes(500)) + box(b"mdat", bytes(4000))


def of_changing_rate() -> bytes:
    """Return a video of 60 frames in 5 seconds, of two durations."""
    tracks = trak(b"vide", [(30, _FRAME), (30, 3 * _FRAME)], [40])
    moov = box(b"moov", header(b"mvhd", 1000, 5000), tracks)
    return ftyp() + box(b"mdat", bytes(400)) + moov


def without_duration() -> bytes:
    """Return a video whose header states no duration, but whose tracks do."""
    head = header(b"mvhd", 1000, 2**32 - 1)
    moov = box(b"moov", head, trak(b"vide", [(120, _FRAME)], [40]))
    return ftyp() + box(b"mdat", bytes(400)) + moov


def to_the_end() -> bytes:
    """Return a video whose last box says that it goes as far as the file."""
    moov = box(b"moov", header(b"mvhd", 1000, 5000), trak(b"vide", [(120, _FRAME)], [900]))
    return ftyp() + moov + struct.pack(">I4s", 0, b"mdat") + bytes(4000)


def with_long_lengths() -> bytes:
    """Return a video whose samples have a length of 64 bits."""
    moov = box(b"moov", header(b"mvhd", 1000, 5000), trak(b"vide", [(120, _FRAME)], [900]))
    return ftyp() + moov + box(b"mdat", bytes(4000), long=True)


def fragmented(how: str = "usual") -> bytes:
    """Return a video of five fragments of a second; `how` says where their durations are."""
    trex = full(b"trex", struct.pack(">IIIII", 1, 1, _FRAME if how == "usual" else 7, 0, 0))
    moov = box(b"moov", header(b"mvhd", 1000, 0), trak(b"vide", [], []), box(b"mvex", trex))
    flags, more = {
        "usual": (0x20000, b""),
        "fragment": (0x20000 | 0x8 | 0x2, struct.pack(">II", 1, _FRAME)),
        "sample": (0x20000, b""),
    }[how]
    tfhd = full(b"tfhd", struct.pack(">I", 1), more, flags=flags)
    if how == "sample":
        entries = struct.pack(">II", _FRAME, 100) * 24
        trun = full(
            b"trun", struct.pack(">III", 24, 80, 0), entries, flags=0x1 | 0x4 | 0x100 | 0x200
        )
    else:
        trun = full(b"trun", struct.pack(">II", 24, 80), bytes(4 * 24), flags=0x1 | 0x200)
    fragment = box(b"moof", full(b"mfhd", bytes(4)), box(b"traf", tfhd, trun))
    return ftyp(b"iso5") + moov + (fragment + box(b"mdat", bytes(800))) * 5


#: Whole videos of 5 seconds and 320 x 192 pixels, without sound unless their names say so.
VIDEOS: Final[Kinds] = {
    "with sound": video,
    "plain": lambda: video(sound=False),
    "times of 64 bits": lambda: video(sound=False, version=1),
    "offsets of 64 bits": lambda: video(sound=False, wide=True),
    "tables first": index_first,
    "no duration in its header": without_duration,
    "a box to the end": to_the_end,
    "lengths of 64 bits": with_long_lengths,
    "fragments of the usual frames": fragmented,
    "fragments with their own frames": lambda: fragmented("fragment"),
    "fragments that state each frame": lambda: fragmented("sample"),
}
#: Files of other formats, by the name that is told.
OTHERS: Final[Mapping[str, bytes]] = {
    "WebM or Matroska": b"\x1a\x45\xdf\xa3" + bytes(400),
    "AVI": b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(400),
    "QuickTime": box(b"wide") + box(b"mdat", bytes(400)),
    "JPEG": b"\xff\xd8\xff\xe0" + bytes(400),
    "PNG": b"\x89PNG\r\n\x1a\n" + bytes(400),
    "GIF": b"GIF89a" + bytes(400),
    "HTML": b"\r\n <!DOCTYPE html><html><body>sorry</body></html>",
    "XML": b"<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code></Error>",
    "JSON": b'{"detail": "gone"}',
}
