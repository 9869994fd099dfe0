"""Reads an MP4's duration, frame rate, frame size and tracks, without decoding pictures.

An MP4 is a sequence of boxes (ISO/IEC 14496-12), each with its length. A file is complete if its
boxes fill it, and its samples are within it. Only headers are read, so the time and memory that
this takes do not depend on the pictures.
"""

import struct
from dataclasses import dataclass, field
from typing import IO, Final

from core.media.image_formats import FileFormat
from core.media.mp4_boxes import BadVideo, Box, Boxes, broken, cut_off, damaged

__all__ = ["MP4", "BadVideo", "Video", "begins_as_video", "read_video"]

MP4: Final = FileFormat("MP4", "video/mp4", "mp4")

#: Durations that stand for: unknown (section 8.2.2).
_UNKNOWN: Final = (0, 2**32 - 1, 2**64 - 1)
_HANDLERS: Final = {"vide": "video", "soun": "audio"}
_VIDEO: Final = "video"
#: Flags of `tfhd` (section 8.8.7) before the default duration -> bytes of their field.
_BEFORE_DURATION: Final = {0x1: 8, 0x2: 4}
_DEFAULT_DURATION: Final = 0x8
#: Flags of `trun` (section 8.8.8): its own fields, and those of each sample.
_OF_THE_RUN: Final = (0x1, 0x4)
_SAMPLE_DURATION: Final = 0x100
_OF_EACH_SAMPLE: Final = (0x100, 0x200, 0x400, 0x800)

#: Signatures of other files: offset, bytes, name.
_OTHERS: Final = (
    *((0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"), (8, b"AVI ", "AVI"), (0, b"FLV", "FLV")),
    *((4, b"moov", "QuickTime"), (4, b"mdat", "QuickTime"), (4, b"wide", "QuickTime")),
    *((0, b"\x00\x00\x01\xba", "MPEG-1 or MPEG-2"), (0, b"\x00\x00\x01\xb3", "MPEG-1 or MPEG-2")),
    *((0, b"\xff\xd8\xff", "JPEG"), (0, b"\x89PNG", "PNG"), (8, b"WEBP", "WebP")),
    *((0, b"GIF8", "GIF"), (0, b"<!doctype html", "HTML"), (0, b"<html", "HTML")),
    *((0, b"<?xml", "XML"), (0, b"{", "JSON")),
)


@dataclass(frozen=True, slots=True)
class Video:
    """What the boxes of a complete file tell."""

    seconds: float
    frames_per_second: float
    width: int  # pixels
    height: int  # pixels
    #: `video`, `audio`, or another handler's name, in the file's order.
    tracks: tuple[str, ...]


def read_video(file: IO[bytes], size: int) -> Video:
    """Read what a video's boxes tell.

    Args:
        file: A seekable file.
        size: Its size in bytes.

    Raises:
        BadVideo: It is not a complete MP4 with at least one picture.
        OSError: It cannot be read.
    """
    file.seek(0)
    head = file.read(32)
    if not begins_as_video(head):
        raise BadVideo(_other(head))
    boxes, movie = Boxes(file, size), _Movie()
    for box in boxes.within(Box(b"", 0, size)):
        if box.kind == b"moov":
            if movie.tracks:
                raise broken("is damaged: it has two moov boxes")
            _read_header(boxes, box, movie)
        elif box.kind == b"moof":
            _read_fragment(boxes, box, movie)
    return _described(movie, size)


def begins_as_video(head: bytes) -> bool:
    """Return whether a file starts like an MP4; 8 bytes are enough."""
    return head[4:8] == b"ftyp"


def _other(head: bytes) -> str:
    """Describe a file that is no MP4."""
    low = head.lstrip().lower()
    for offset, mark, name in _OTHERS:
        text = mark.startswith((b"<", b"{"))
        if low.startswith(mark) if text else head.startswith(mark, offset):
            return f"is {name}, not MP4"
    return "is not an MP4 video"


@dataclass(slots=True)
class _Track:
    """What is known of a track; durations are in ticks, of which a second has `scale`."""

    number: int = 0
    kind: str = ""
    scale: int = 0
    ticks: int = 0
    frames: int = 0
    width: int = 0
    height: int = 0
    #: Offset of the last chunk of samples.
    last_chunk: int = 0
    #: Duration of a sample, unless its fragment states another.
    usual_ticks: int = 0


@dataclass(slots=True)
class _Movie:
    """What is known of the whole file."""

    seconds: float = 0.0  # 0: not stated
    tracks: list[_Track] = field(default_factory=list)

    def track(self, number: int) -> _Track:
        """Return a track by its number.

        Raises:
            BadVideo: There is none.
        """
        found = next((track for track in self.tracks if track.number == number), None)
        if found is None:
            raise damaged()
        return found


def _read_header(boxes: Boxes, moov: Box, movie: _Movie) -> None:
    """Read the movie's duration and its tracks (section 8.2.1)."""
    usual: dict[int, int] = {}
    for box in boxes.within(moov):
        if box.kind == b"mvhd":
            scale, ticks = _duration(boxes, box)
            movie.seconds = ticks / scale
        elif box.kind == b"trak":
            movie.tracks.append(_read_track(boxes, box))
        elif box.kind == b"mvex":
            for inner in boxes.within(box):
                if inner.kind == b"trex":
                    number, _, ticks = struct.unpack(">4xIII", boxes.content(inner, 16))
                    usual[number] = ticks
    if not movie.tracks:
        raise broken("contains no tracks")
    for track in movie.tracks:
        track.usual_ticks = usual.get(track.number, 0)


def _read_track(boxes: Boxes, trak: Box) -> _Track:
    track = _Track()
    for box in boxes.within(trak):
        if box.kind == b"tkhd":
            at = 20 if boxes.content(box, 1)[0] else 12
            track.number = int.from_bytes(boxes.content(box, at + 4)[at:], "big")
        elif box.kind == b"mdia":
            _read_media(boxes, box, track)
    return track


def _read_media(boxes: Boxes, mdia: Box, track: _Track) -> None:
    """Read a track's kind and its tables of samples (sections 8.4 to 8.7)."""
    for box in boxes.within(mdia):
        if box.kind == b"mdhd":
            track.scale, _ = _duration(boxes, box)
        elif box.kind == b"hdlr":
            handler = boxes.content(box, 12)[8:].decode("ascii", "replace").strip()
            track.kind = _HANDLERS.get(handler, handler if handler.isalnum() else "other")
        elif box.kind == b"minf":
            tables = (inner for inner in boxes.within(box) if inner.kind == b"stbl")
            for table in (inner for stbl in tables for inner in boxes.within(stbl)):
                _read_table(boxes, table, track)


def _read_table(boxes: Boxes, box: Box, track: _Track) -> None:
    if box.kind == b"stts":
        for count, ticks in boxes.table(box, ">II"):
            track.frames += count
            track.ticks += count * ticks
    elif box.kind in (b"stco", b"co64"):
        chunks = boxes.table(box, ">I" if box.kind == b"stco" else ">Q")
        track.last_chunk = max((offset for (offset,) in chunks), default=0)
    elif box.kind == b"stsd" and box.end - box.start >= 44:  # noqa: PLR2004 - see below
        # Flags and count, then the first description (sections 8.5.2 and 12.1.3): its length and
        # kind, and 24 bytes before the size. Those of other tracks have something else there.
        track.width, track.height = struct.unpack(">40xHH", boxes.content(box, 44))


def _duration(boxes: Boxes, box: Box) -> tuple[int, int]:
    """Return ticks per second and the duration in ticks of `mvhd` or `mdhd`; 0: unknown."""
    form = ">20xIQ" if boxes.content(box, 1)[0] else ">12xII"
    scale, ticks = struct.unpack(form, boxes.content(box, struct.calcsize(form)))
    if not scale:
        raise damaged()
    return scale, 0 if ticks in _UNKNOWN else ticks


def _read_fragment(boxes: Boxes, moof: Box, movie: _Movie) -> None:
    """Add the samples of a fragment (section 8.8.4) to their tracks."""
    for traf in (box for box in boxes.within(moof) if box.kind == b"traf"):
        track, usual = None, 0
        for box in boxes.within(traf):
            if box.kind == b"tfhd":
                flags, number = struct.unpack(">II", boxes.content(box, 8))
                track = movie.track(number)
                usual = track.usual_ticks
                if flags & _DEFAULT_DURATION:
                    at = 8 + sum(size for flag, size in _BEFORE_DURATION.items() if flags & flag)
                    usual = int.from_bytes(boxes.content(box, at + 4)[at:], "big")
            elif box.kind == b"trun":
                if track is None:
                    raise damaged()
                _read_run(boxes, box, track, usual)


def _read_run(boxes: Boxes, trun: Box, track: _Track, usual: int) -> None:
    flags, count = struct.unpack(">II", boxes.content(trun, 8))
    track.frames += count
    if not flags & _SAMPLE_DURATION:
        track.ticks += count * usual
        return
    start = trun.start + 8 + 4 * sum(bool(flags & flag) for flag in _OF_THE_RUN)
    more = sum(bool(flags & flag) for flag in _OF_EACH_SAMPLE) - 1
    form = f">I{4 * more}x"
    track.ticks += sum(ticks for (ticks,) in boxes.entries(start, trun.end, count, form))


def _described(movie: _Movie, size: int) -> Video:
    """Return what the tracks amount to, if that can be played."""
    if not movie.tracks:
        raise broken("contains no moov box")
    if any(track.last_chunk >= size for track in movie.tracks):
        raise cut_off()
    pictures = [track for track in movie.tracks if track.kind == _VIDEO and track.frames]
    if not pictures:
        raise broken("contains no pictures")
    shown = pictures[0]
    if not (shown.width and shown.height and shown.scale and shown.ticks):
        raise broken("states no size or no duration")
    longest = max(track.ticks / track.scale for track in movie.tracks if track.scale)
    return Video(
        seconds=round(movie.seconds or longest, 3),
        frames_per_second=round(shown.frames * shown.scale / shown.ticks, 3),
        width=shown.width,
        height=shown.height,
        tracks=tuple(track.kind for track in movie.tracks),
    )
