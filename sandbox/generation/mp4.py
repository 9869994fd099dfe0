"""Writes an mp4 (ISO/IEC 14496-12 and -14): an H.264 still, and silence in AAC if it has sound."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

from sandbox.generation.h264 import key_frame, parameter_sets, repeated_frame
from sandbox.requests.clips import FRAMES_PER_SECOND, Clip
from sandbox.tasks.results import Content

#: Units of a second: of the file, and of its video track.
FILE_SCALE: Final = 1000
VIDEO_SCALE: Final = 12288
#: Samples per second of the sound, and samples of one AAC frame.
AUDIO_RATE: Final = 48_000
AUDIO_FRAME: Final = 1024
CHANNELS: Final = 2
#: One frame of silence in two channels (AAC-LC), and what its decoder must know:
#: AudioSpecificConfig with AAC-LC, 48 kHz, two channels (ISO/IEC 14496-3, 1.6.2.1).
SILENCE: Final = bytes.fromhex("210049900219002380")
AUDIO_CONFIG: Final = bytes.fromhex("1190")
#: Transformation that changes nothing, as 16.16 and 2.30 fixed point.
UNITY: Final = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
#: "und", for no language, in the packed form of a media header.
NO_LANGUAGE: Final = 0x55C4
#: Flags of a track: enabled, in the movie, in the preview.
IN_USE: Final = 7


@dataclass(frozen=True)
class _Track:
    """One track: its frames, and what its boxes say of them."""

    number: int
    handler: bytes
    samples: Sequence[bytes]
    #: Units per second, and runs of `(frames, units of each)`.
    scale: int
    durations: Sequence[tuple[int, int]]
    #: The boxes that only its kind has: the media header, and the sample description.
    header: bytes
    description: bytes
    #: Width and height in pixels; 0 for sound.
    size: tuple[int, int] = (0, 0)

    @property
    def length(self) -> int:
        """Its duration in its own units."""
        return sum(count * units for count, units in self.durations)


def video_file(picture: Image.Image, clip: Clip, least: int = 0, padding: int = 0) -> Content:
    """Return an mp4 that shows the image for the clip's length, in whole frames.

    Args:
        picture: The image; its sides are multiples of 16.
        clip: Length and sound.
        least: Bytes that the file has at least; zeros in the media data make up the difference.
        padding: Number of further zeros in the media data.
    """
    tracks = [_video_track(picture, clip)]
    if clip.audio:
        tracks.append(_audio_track(clip))
    kind = _box(b"ftyp", b"isom", _u32(0x200), b"isomiso2avc1mp41")
    data = [b"".join(track.samples) for track in tracks]
    # The offsets in `moov` depend on its length, which does not depend on their values.
    start = len(kind) + len(_movie(tracks, [0] * len(tracks))) + 8
    offsets = [start + sum(map(len, data[:index])) for index in range(len(tracks))]
    length = start + sum(map(len, data))
    zeros = max(0, least - length) + padding
    media = struct.pack(">I4s", length + zeros - start + 8, b"mdat")
    return Content(b"".join((kind, _movie(tracks, offsets), media, *data)), zeros)


def _video_track(picture: Image.Image, clip: Clip) -> _Track:
    width, height = picture.size
    count = max(1, round(clip.seconds * FRAMES_PER_SECOND))
    units = [key_frame(picture), *(repeated_frame(n, width, height) for n in range(1, count))]
    sequence, parameters = parameter_sets(width, height)
    config = _box(
        b"avcC",
        # Version, then profile, constraints and level; lengths of four bytes; one set of each.
        b"\x01" + sequence[1:4] + b"\xff\xe1",
        struct.pack(">H", len(sequence)) + sequence,
        b"\x01" + struct.pack(">H", len(parameters)) + parameters,
    )
    entry = _box(
        b"avc1",
        bytes(6) + b"\x00\x01" + bytes(16),
        struct.pack(">2H", width, height),
        struct.pack(">3IH", 72 << 16, 72 << 16, 0, 1),
        bytes(32) + struct.pack(">Hh", 24, -1),
        config,
    )
    return _Track(
        number=1,
        handler=b"vide",
        samples=[_u32(len(unit)) + unit for unit in units],
        scale=VIDEO_SCALE,
        durations=[(count, VIDEO_SCALE // FRAMES_PER_SECOND)],
        header=_full_box(b"vmhd", bytes(8), flags=1),
        description=entry,
        size=(width, height),
    )


def _audio_track(clip: Clip) -> _Track:
    length = max(1, round(clip.seconds * AUDIO_RATE))
    whole, rest = divmod(length, AUDIO_FRAME)
    decoder = b"\x40\x15" + bytes(3) + _u32(0) + _u32(0) + _descriptor(5, AUDIO_CONFIG)
    stream = _descriptor(
        3, struct.pack(">HB", 0, 0) + _descriptor(4, decoder) + _descriptor(6, b"\x02")
    )
    entry = _box(
        b"mp4a",
        bytes(6) + b"\x00\x01" + bytes(8),
        struct.pack(">2HI", CHANNELS, 16, 0),
        _u32(AUDIO_RATE << 16),
        _full_box(b"esds", stream),
    )
    return _Track(
        number=2,
        handler=b"soun",
        samples=[SILENCE] * (whole + (1 if rest else 0)),
        scale=AUDIO_RATE,
        durations=[run for run in ((whole, AUDIO_FRAME), (1 if rest else 0, rest)) if run[0]],
        header=_full_box(b"smhd", bytes(4)),
        description=entry,
    )


def _movie(tracks: Sequence[_Track], offsets: Sequence[int]) -> bytes:
    """Return `moov`; each track's frames lie one after the other from its offset."""
    length = max(FILE_SCALE * track.length // track.scale for track in tracks)
    header = _full_box(
        b"mvhd",
        struct.pack(">4I", 0, 0, FILE_SCALE, length),
        struct.pack(">IH", 1 << 16, 1 << 8) + bytes(10),
        UNITY + bytes(24),
        _u32(len(tracks) + 1),
    )
    boxes = (_track_box(track, at) for track, at in zip(tracks, offsets, strict=True))
    return _box(b"moov", header, *boxes)


def _track_box(track: _Track, offset: int) -> bytes:
    width, height = track.size
    header = _full_box(
        b"tkhd",
        struct.pack(">5I", 0, 0, track.number, 0, FILE_SCALE * track.length // track.scale),
        bytes(8) + struct.pack(">4H", 0, 0, 0 if width else 1 << 8, 0),
        UNITY + struct.pack(">2I", width << 16, height << 16),
        flags=IN_USE,
    )
    media = _full_box(
        b"mdhd", struct.pack(">4I2H", 0, 0, track.scale, track.length, NO_LANGUAGE, 0)
    )
    handler = _full_box(b"hdlr", _u32(0) + track.handler + bytes(12) + b"sandbox\0")
    here = _box(b"dinf", _full_box(b"dref", _u32(1), _full_box(b"url ", flags=1)))
    information = _box(b"minf", track.header, here, _sample_table(track, offset))
    return _box(b"trak", header, _box(b"mdia", media, handler, information))


def _sample_table(track: _Track, offset: int) -> bytes:
    """Return `stbl` of a track whose frames form one chunk, with the first as its key frame."""
    runs = b"".join(struct.pack(">2I", *run) for run in track.durations)
    sizes = b"".join(_u32(len(sample)) for sample in track.samples)
    count = len(track.samples)
    keys = [_full_box(b"stss", _u32(1) + _u32(1))] if track.handler == b"vide" else []
    return _box(
        b"stbl",
        _full_box(b"stsd", _u32(1), track.description),
        _full_box(b"stts", _u32(len(track.durations)), runs),
        *keys,
        _full_box(b"stsc", struct.pack(">4I", 1, 1, count, 1)),
        _full_box(b"stsz", struct.pack(">2I", 0, count), sizes),
        _full_box(b"stco", _u32(1), _u32(offset)),
    )


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full_box(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    """Return a box with version 0 and flags."""
    return _box(kind, _u32(flags), *parts)


def _descriptor(tag: int, content: bytes) -> bytes:
    """Return a descriptor of less than 128 bytes (ISO/IEC 14496-1, 8.3.3)."""
    return bytes((tag, len(content))) + content


def _u32(number: int) -> bytes:
    return struct.pack(">I", number)
