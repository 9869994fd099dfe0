"""A transport whose close leaves the client time to read what it was sent.

The kernel answers bytes that come for a closed socket, or lie unread in one, with a reset, and a
reset takes away what the client has not read yet. So whoever is answered before the request was
read to its end would often see no answer. Therefore only our own side is ended at first; what the
client still sends is read and thrown away, for a bounded while (as nginx' `lingering_close`).
"""

import asyncio
from collections.abc import Callable
from typing import Final

#: Bytes that are read on at most, and for how many seconds.
LINGER_BYTES: Final = 64 * 1024 * 1024
LINGER_SECONDS: Final = 10.0


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

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send."""
        self._transport.write(data)

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
