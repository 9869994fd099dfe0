"""Reads the boxes of an MP4 (ISO/IEC 14496-12, section 4.2) and the tables in them.

Every length is checked before it is used, and their number is bounded.
"""

import struct
from collections.abc import Iterator
from typing import IO, Any, Final, NamedTuple

#: Most boxes and most table entries of a file; a video of minutes has some thousands.
_MOST_BOXES: Final = 100_000
_MOST_ENTRIES: Final = 1_000_000
_PIECE: Final = 256 * 1024  # bytes of a table read at a time
_SHORT_HEAD, _LONG_HEAD = 8, 16  # bytes of a box's length and kind
_LONG: Final = 1  # a length that stands for: 64 bits with the length follow


class BadVideo(ValueError):
    """The file is not an MP4 video, or incomplete; the message continues a field's name."""


def broken(what: str) -> BadVideo:
    """Return the error for a file that begins as an MP4 and is not a whole one."""
    return BadVideo(f"is not a whole video: the MP4 {what}")


def cut_off() -> BadVideo:
    """Return the error for a file that ends too early."""
    return broken("is cut off")


def damaged() -> BadVideo:
    """Return the error for a file whose boxes contradict each other."""
    return broken("is damaged")


class Box(NamedTuple):
    """A box's kind, and where its content starts and ends."""

    kind: bytes
    start: int
    end: int


class Boxes:
    """Reads boxes and the tables in them; checks every length before it is used."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self._boxes_left = _MOST_BOXES
        self._entries_left = _MOST_ENTRIES

    def within(self, outer: Box) -> Iterator[Box]:
        """Yield the boxes in a box, which must fill it."""
        at = outer.start
        while at < outer.end:
            box = self._box(at, outer.end)
            yield box
            at = box.end

    def _box(self, at: int, end: int) -> Box:
        self._boxes_left -= 1
        if self._boxes_left < 0:
            raise broken("has too many parts")
        head = self._read(at, min(_LONG_HEAD, end - at))
        length, kind, start = int.from_bytes(head[:4], "big"), head[4:8], at + _SHORT_HEAD
        if length == _LONG:
            length, start = int.from_bytes(head[8:], "big"), at + _LONG_HEAD
        elif length == 0:  # as far as the file goes
            length = end - at
        if start > end or at + length > end:
            # Beyond the end of an outer box is not where a file was cut off.
            raise cut_off() if end == self._size else damaged()
        if length < start - at or not kind.strip(b"\0"):
            raise damaged()
        return Box(kind, start, at + length)

    def content(self, box: Box, count: int) -> bytes:
        """Return the first `count` bytes of a box's content.

        Raises:
            BadVideo: There are fewer.
        """
        if box.end - box.start < count:
            raise damaged()
        return self._read(box.start, count)

    def entries(self, start: int, end: int, count: int, form: str) -> Iterator[tuple[Any, ...]]:
        """Yield the entries of a table, in a format of `struct`."""
        width = struct.calcsize(form)
        self._entries_left -= count
        if self._entries_left < 0:
            raise broken("has too many parts")
        if count * width > end - start:
            raise damaged()
        most = _PIECE // width
        for first in range(0, count, most):
            piece = self._read(start + first * width, min(most, count - first) * width)
            yield from struct.iter_unpack(form, piece)

    def table(self, box: Box, form: str) -> Iterator[tuple[Any, ...]]:
        """Yield the entries of a box that is one table: flags, count, entries."""
        count = int.from_bytes(self.content(box, 8)[4:], "big")
        return self.entries(box.start + 8, box.end, count, form)

    def _read(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        data = self._file.read(count)
        if len(data) < count:
            raise cut_off()
        return data
