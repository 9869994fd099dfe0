"""Undoes an encoding of a body that nobody asked for, piece by piece and within a bound."""

import zlib
from collections.abc import Iterator
from typing import Final

from core.media.image_formats import begins_as_image

#: Content codings that are undone (RFC 9110 section 8.4.1) -> zlib's name of their frame.
_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW_DEFLATE: Final = -15
#: gzip may come in members, one behind the other (RFC 1952 section 2.2).
_GZIP_START: Final = b"\x1f\x8b"
_PIECE: Final = 256 * 1024  # bytes that are given back at a time
_ENOUGH: Final = 12  # bytes that tell an image


class BadEncoding(Exception):
    """The body is not in the encoding that its header names, or is cut off, or too large.

    Or that encoding is none that can be undone.
    """


class Decoder:
    """Undoes one content coding; bytes that begin as an image have none, whatever is said of them.

    Args:
        coding: As `Content-Encoding` says it; empty and `identity` leave the bytes as they are.
        largest: Bytes that may come out, for a few can unpack to very many.

    Attributes:
        encoded: Whether an encoding is named.
        known: Whether it is one that can be undone.
    """

    def __init__(self, coding: str, largest: int) -> None:
        names = [name.strip().lower() for name in coding.split(",")]
        names = [name for name in names if name not in ("", "identity")]
        self.encoded = bool(names)
        self.known = len(names) <= 1 and set(names) <= _WINDOWS.keys()
        self._name = coding[:40]
        self._window = _WINDOWS.get(names[0], 0) if names else 0
        self._left = largest
        self._head = b""
        self._tail = b""  # of a piece: it may begin another member
        self._begun = not names
        self._unpacking: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take a piece of the body and return what comes out.

        Raises:
            BadEncoding: It cannot be undone, or there is too much.
        """
        if self._begun:
            yield from self._undo(data)
            return
        self._head += data
        if len(self._head) >= _ENOUGH:
            yield from self._begin()

    def end(self) -> Iterator[bytes]:
        """Take note that the body ends here, and return what is left.

        Raises:
            BadEncoding: The encoded bytes are cut off.
        """
        if not self._begun:
            yield from self._begin()
        if self._unpacking and not self._unpacking.eof:
            raise BadEncoding("its encoded bytes are cut off")

    def _begin(self) -> Iterator[bytes]:
        data, self._head, self._begun = self._head, b"", True
        # Some hosts name an encoding that the stored bytes do not have.
        if not begins_as_image(data):
            if not self.known:
                raise BadEncoding(f"it comes in an encoding that is not known: {self._name}")
            raw = self._window == _WINDOWS["deflate"] and not _has_zlib_head(data)
            self._unpacking = zlib.decompressobj(_RAW_DEFLATE if raw else self._window)
        yield from self._undo(data)

    def _undo(self, data: bytes) -> Iterator[bytes]:
        if self._unpacking is None:
            yield data
            return
        data, self._tail, full = self._tail + data, b"", False
        while data or full:
            if self._unpacking.eof:
                if not data.startswith(_GZIP_START):  # padding
                    self._tail = data if _GZIP_START.startswith(data) else b""
                    return
                self._unpacking = zlib.decompressobj(self._window)
            try:
                piece = self._unpacking.decompress(data, _PIECE)
            except zlib.error as error:
                raise BadEncoding("its bytes are not in the encoding that it names") from error
            self._left -= len(piece)
            if self._left < 0:
                raise BadEncoding("it unpacks to too much")
            yield piece
            data = self._unpacking.unconsumed_tail or self._unpacking.unused_data
            full = len(piece) == _PIECE  # more may come out without more going in


def _has_zlib_head(data: bytes) -> bool:
    """Say whether `deflate` comes as it should, in zlib's frame (RFC 1950 section 2.2)."""
    whole = len(data) > 1 and data[0] & 0x0F == zlib.DEFLATED
    return whole and int.from_bytes(data[:2], "big") % 31 == 0
