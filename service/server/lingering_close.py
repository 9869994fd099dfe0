"""A transport whose close lets the client read its response first, for a bounded time.

If a socket is closed with unread input, the kernel sends a reset, which discards data that the
client has not read yet. A client that is answered before its request was read completely would
often miss the response. So at first only our sending side is closed; further input is read and
discarded, within bounds (like nginx' `lingering_close`).

Output that a client does not read stays in our memory, even after a close. So the client must keep
a minimum pace.

uvicorn writes the head of a response and its body one after the other. Both are sent in one system
call, which is a large part of what a small response costs.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from core.log import event

_log = logging.getLogger(__name__)

#: Most bytes to discard, and most seconds to wait.
LINGER_BYTES: Final = 64 * 1024 * 1024
LINGER_SECONDS: Final = 10.0
#: Minimum bytes that a client must read of pending output, per this many seconds.
TAKE_BYTES: Final = 64 * 1024
TAKE_SECONDS: Final = 60.0
#: How a head names the length of its body. Other bodies may begin long after their heads.
_LENGTH: Final = b"\r\ncontent-length: "


class Pace:
    """Measures how fast a client reads."""

    def __init__(self) -> None:
        self._written = 0
        #: Bytes read at the last check.
        self._taken = 0
        #: Whether the client had read everything at some time since then.
        self._caught_up = False

    def wrote(self, size: int, *, left_before: int) -> None:
        """Record a write of `size` bytes while `left_before` bytes were pending."""
        self._caught_up |= not left_before
        self._written += size

    def is_kept(self, left: int) -> bool:
        """Return whether the client has read enough since the last check.

        Args:
            left: Pending bytes.
        """
        before, self._taken = self._taken, self._written - left
        caught_up, self._caught_up = self._caught_up, False
        return caught_up or not left or self._taken - before >= TAKE_BYTES


class LingeringTransport(asyncio.Transport):
    """Wraps the real transport.

    Args:
        transport: The real transport.
        unread: Returns, at close, whether there may be unread input.
        on_linger: Called when lingering starts.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        unread: Callable[[], bool],
        on_linger: Callable[[], None],
    ) -> None:
        super().__init__()
        self._transport = transport
        self._unread = unread
        self._on_linger = on_linger
        self._left = LINGER_BYTES
        self.lingers = False
        self._pace = Pace()
        self._watched = False
        #: The head of a response, whose body follows.
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data, a head with its body; if output is pending, watch the client's pace."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data[:9] == b"HTTP/1.1 " and data[-4:] == b"\r\n\r\n" and _LENGTH in bytes(data):
            self._head = bytes(data)
            return
        self._send(data)

    def flush(self) -> None:
        """Send a head that has no body."""
        if self._head:
            data, self._head = self._head, b""
            self._send(data)

    def _send(self, data: bytes | bytearray | memoryview) -> None:
        self._pace.wrote(len(data), left_before=self._transport.get_write_buffer_size())
        self._transport.write(data)
        if not self._watched and self._transport.get_write_buffer_size():
            self._watched = True
            asyncio.get_running_loop().call_later(TAKE_SECONDS, self._look)

    def _look(self) -> None:
        left = self._transport.get_write_buffer_size()
        self._watched = bool(left)
        if not self._pace.is_kept(left):
            event(_log, "connection.stalled", left=left)
            self._transport.abort()
        elif left:
            asyncio.get_running_loop().call_later(TAKE_SECONDS, self._look)

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return information about the connection."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Pause reading."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Resume reading."""
        self._transport.resume_reading()

    def is_closing(self) -> bool:
        """Return whether nothing more can be sent."""
        return self.lingers or self._transport.is_closing()

    def close(self) -> None:
        """Flush and close; linger if there may be unread input."""
        self.flush()
        if self.is_closing() or not self._unread():
            if not self.lingers:
                self._transport.close()
            return
        self.lingers = True
        self._transport.write_eof()
        self._transport.resume_reading()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.close)
        self._on_linger()

    def discard(self, size: int) -> None:
        """Count discarded bytes; too many close the connection."""
        self._left -= size
        if self._left < 0:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._head = b""
        self._transport.abort()
