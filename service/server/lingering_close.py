"""A transport whose close leaves the client time to read what it was sent, but not for ever.

The kernel answers bytes that come for a closed socket, or lie unread in one, with a reset, and a
reset takes away what the client has not read yet. So whoever is answered before the request was
read to its end would often see no answer. Therefore only our own side is ended at first; what the
client still sends is read and thrown away, for a bounded while (as nginx' `lingering_close`).

What a client does not take lies in our memory, also behind a close. So it has to keep a pace.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from core.log import event

_log = logging.getLogger(__name__)

#: Bytes that are read on at most, and for how many seconds.
LINGER_BYTES: Final = 64 * 1024 * 1024
LINGER_SECONDS: Final = 10.0
#: Bytes that a client takes at least of what waits for it, and within how many seconds.
TAKE_BYTES: Final = 64 * 1024
TAKE_SECONDS: Final = 60.0


class Pace:
    """How fast a client takes what is written."""

    def __init__(self) -> None:
        self._written = 0
        #: How much of it was taken at the last look.
        self._taken = 0
        #: Whether everything was taken at some time since then.
        self._caught_up = False

    def wrote(self, size: int, *, left_before: int) -> None:
        """Take note that so many bytes are written, while so many others wait to be taken."""
        self._caught_up |= not left_before
        self._written += size

    def is_kept(self, left: int) -> bool:
        """Say whether the client has taken enough since the last look.

        Args:
            left: Bytes that wait to be taken.
        """
        before, self._taken = self._taken, self._written - left
        caught_up, self._caught_up = self._caught_up, False
        return caught_up or not left or self._taken - before >= TAKE_BYTES


class LingeringTransport(asyncio.Transport):
    """Stands before the real transport.

    Args:
        transport: The real one.
        unread: Says, at the close, whether there may be bytes that nobody read.
        on_linger: Called when it starts to read on.
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

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send; from where the client lags behind, see to it that it goes on."""
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
        """Return what is known of the connection."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Read nothing for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def is_closing(self) -> bool:
        """Say whether nothing more can be sent."""
        return self.lingers or self._transport.is_closing()

    def close(self) -> None:
        """Send what was written, then end; read on for a while where something may be unread."""
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
        """Take note that so many bytes came after the end; too many end it for good."""
        self._left -= size
        if self._left < 0:
            self._transport.close()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()
