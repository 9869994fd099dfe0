"""Decodes an unrequested content encoding, chunk by chunk and within a size limit."""

import zlib
from collections.abc import Callable, Iterator
from typing import Final

#: Supported content codings (RFC 9110 section 8.4.1) -> zlib window bits.
_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW_DEFLATE: Final = -15
#: A gzip body may have several members (RFC 1952 section 2.2).
_GZIP_START: Final = b"\x1f\x8b"
_PIECE: Final = 256 * 1024  # bytes of output per step
_ENOUGH: Final = 12  # bytes that identify a format


class BadEncoding(Exception):
    """The encoding is unsupported or wrong, or the body is truncated or decodes to too much."""


class Decoder:
    """Decodes one content coding; bytes that begin as the file are taken as they are.

    Args:
        coding: Value of `Content-Encoding`; empty and `identity` leave the bytes unchanged.
        largest: Maximum bytes of output, because a small body can decode to a huge one.
        begins: Whether bytes are the first ones of the file.

    Attributes:
        encoded: Whether a content encoding is declared.
        known: Whether that encoding is supported.
    """

    def __init__(self, coding: str, largest: int, begins: Callable[[bytes], bool]) -> None:
        names = [name.strip().lower() for name in coding.split(",")]
        names = [name for name in names if name not in ("", "identity")]
        self.encoded = bool(names)
        self.known = len(names) <= 1 and set(names) <= _WINDOWS.keys()
        self._name = coding[:40]
        self._window = _WINDOWS.get(names[0], 0) if names else 0
        self._left = largest
        self._begins = begins
        self._head = b""
        self._tail = b""  # of a piece: it may begin another member
        self._begun = not names
        self._unpacking: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take a chunk of the body and return the decoded bytes.

        Raises:
            BadEncoding: The bytes cannot be decoded, or decode to too much.
        """
        if self._begun:
            yield from self._undo(data)
            return
        self._head += data
        if len(self._head) >= _ENOUGH:
            yield from self._begin()

    def end(self) -> Iterator[bytes]:
        """Finish decoding and return the remaining bytes.

        Raises:
            BadEncoding: The encoded bytes are truncated.
        """
        if not self._begun:
            yield from self._begin()
        if self._unpacking and not self._unpacking.eof:
            raise BadEncoding("its encoded bytes are truncated")

    def _begin(self) -> Iterator[bytes]:
        data, self._head, self._begun = self._head, b"", True
        # Some hosts declare an encoding that the stored bytes do not have.
        if not self._begins(data):
            if not self.known:
                raise BadEncoding(f"unknown content encoding {self._name}")
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
                raise BadEncoding("its bytes do not match its content encoding") from error
            self._left -= len(piece)
            if self._left < 0:
                raise BadEncoding("it decompresses to more than is allowed")
            yield piece
            data = self._unpacking.unconsumed_tail or self._unpacking.unused_data
            full = len(piece) == _PIECE  # more output may follow without more input


def _has_zlib_head(data: bytes) -> bool:
    """Return whether `deflate` data has a zlib header, as it should (RFC 1950 section 2.2)."""
    whole = len(data) > 1 and data[0] & 0x0F == zlib.DEFLATED
    return whole and int.from_bytes(data[:2], "big") % 31 == 0
