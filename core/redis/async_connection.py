"""A connection to Redis for an event loop: whole batches are written and read at once.

redis-py opens it, for it knows addresses, TLS and passwords. Its own way of reading costs a task's
turn and a time limit for each answer; here the answers of a batch are handed over together.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import hiredis
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

_NOTHING: Final = object()
#: Writes a command as Redis reads it; its own types allow one part only.
_pack: Final[Callable[[tuple[Any, ...]], bytes]] = hiredis.pack_command
#: What has to be told apart, by how the server begins it.
_KINDS: Final[dict[str, type[ResponseError]]] = {
    "NOSCRIPT": NoScriptError,
    "READONLY": ReadOnlyError,
}


class LoopConnection(asyncio.Protocol):
    """An open connection, for one batch at a time."""

    def __init__(self, opened: Any) -> None:
        # It has no public way to hand its transport over. The writer is kept, for it closes the
        # transport when nobody holds it any more.
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
        self._answered: Callable[[], None] = _nobody

    @classmethod
    async def open(cls, pool: Any) -> "LoopConnection":
        """Open one as this pool of redis-py makes them."""
        opened = pool.make_connection()
        await opened.connect()
        return cls(opened)

    @property
    def is_usable(self) -> bool:
        """Whether nothing speaks against sending the next batch."""
        return self._done is None and not self._transport.is_closing()

    def close(self) -> None:
        """Close it; what is under way gets no answer."""
        self._transport.abort()

    def send(
        self,
        commands: Sequence[tuple[Any, ...]],
        pause: int,
        answered: Callable[[], None],
    ) -> "asyncio.Future[list[Any]]":
        """Write commands at once; return what will be their answers, errors among them.

        Args:
            commands: One or more.
            pause: After so many answers `answered` is called.
            answered: Called once.
        """
        self._answers, self._wanted, self._pause = [], len(commands), pause
        self._answered = answered
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(b"".join(map(_pack, commands)))
        return self._done

    def data_received(self, data: bytes) -> None:
        """Take answers, or parts of them."""
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not _NOTHING:
            if isinstance(answer, hiredis.PushNotification):
                continue
            if self._done is None:  # nobody asked for this
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
        """Tell whoever waits."""
        if self._done and not self._done.done():
            self._done.set_exception(LostConnection(f"Connection closed by server. {exc or ''}"))


def _nobody() -> None:
    """Nobody wants to know."""


def _error(text: str) -> ResponseError:
    """Return what the server has against a command."""
    return _KINDS.get(text.partition(" ")[0], ResponseError)(text)
