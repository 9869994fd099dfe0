"""A Redis connection for an event loop that writes and reads whole batches.

redis-py opens the connection, because it handles addresses, TLS and passwords. Its own reader wakes
a task and sets a timeout for every reply; this one hands over the replies of a batch together.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

_NOTHING: Final = object()
#: Encodes a command in the Redis protocol; hiredis types it for a single part only.
_pack: Final[Callable[[tuple[Any, ...]], bytes]] = hiredis.pack_command
#: Error replies that callers distinguish, by their prefix.
_KINDS: Final[dict[str, type[ResponseError]]] = {
    "NOSCRIPT": NoScriptError,
    "READONLY": ReadOnlyError,
}


class AsyncConnection(asyncio.Protocol):
    """An open connection that carries one batch at a time."""

    def __init__(self, opened: Any) -> None:
        # redis-py offers no public access to the transport. The writer is kept because it
        # closes the transport when it is garbage-collected.
        self._writer: asyncio.StreamWriter = opened._writer  # noqa: SLF001 - see above
        opened._writer = opened._reader = None  # noqa: SLF001 - see above
        self._transport: Any = self._writer.transport
        self._transport.set_protocol(self)
        self._reader = hiredis.Reader(
            replyError=_error, encoding="utf-8", errors="replace", notEnoughData=_NOTHING
        )
        self._answers: list[Any] = []
        self._wanted = 0
        self._pause = 0
        self._done: asyncio.Future[list[Any]] | None = None
        self._answered: Callable[[], None] = _ignore

    @classmethod
    async def open(cls, pool: Any) -> "AsyncConnection":
        """Open a connection with the settings of a redis-py pool."""
        opened = pool.make_connection()
        await opened.connect()
        return cls(opened)

    @property
    def is_usable(self) -> bool:
        """Whether the next batch can be sent: the connection is open and idle."""
        return self._done is None and not self._transport.is_closing()

    def close(self) -> None:
        """Close the connection; commands in flight get no reply."""
        self._transport.abort()

    def send(
        self,
        commands: Sequence[tuple[Any, ...]],
        pause: int,
        answered: Callable[[], None],
    ) -> "asyncio.Future[list[Any]]":
        """Write commands at once; return a future of their replies, error replies included.

        Args:
            commands: At least one.
            pause: Number of replies after which `answered` is called.
            answered: Called once.
        """
        self._answers, self._wanted, self._pause = [], len(commands), pause
        self._answered = answered
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(b"".join(map(_pack, commands)))
        return self._done

    def data_received(self, data: bytes) -> None:
        """Parse replies as their bytes arrive."""
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not _NOTHING:
            if isinstance(answer, hiredis.PushNotification):
                continue
            if self._done is None:  # a reply that no command asked for
                self._transport.abort()
                return
            self._answers.append(answer)
            if len(self._answers) == self._pause:
                self._answered()
            if len(self._answers) == self._wanted:
                done, self._done = self._done, None
                if not done.done():
                    done.set_result(self._answers)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the batch that is in flight."""
        if self._done and not self._done.done():
            self._done.set_exception(LostConnection(f"Connection closed by server. {exc or ''}"))


def _ignore() -> None:
    """Do nothing: the default callback."""


def _error(text: str) -> ResponseError:
    """Return an error reply as the matching exception."""
    return _KINDS.get(text.partition(" ")[0], ResponseError)(text)
