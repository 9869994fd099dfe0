"""Runs the Lua scripts from an event loop, many calls per round trip.

Scripts, errors and durability checks are shared with `core.redis.scripts`; only the waiting
differs.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from hashlib import sha1
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from core.errors import StoreUnavailable
from core.redis.async_connection import AsyncConnection
from core.redis.async_group_commit import AsyncGroupCommit
from core.redis.group_commit import Call
from core.redis.scripts import SOCKET_TIMEOUT, Scripts, unavailable
from core.redis.transitions import ScriptCall
from core.settings.settings import Settings
from core.whole_json import whole_json

#: A batch that was sent, and the future of its replies.
_SentBatch = tuple[AsyncConnection, "asyncio.Future[list[Any]]"]


class AsyncScripts:
    """Runs scripts for requests that await them.

    Args:
        scripts: The script sources and the server's durability.
        settings: Names the server.
        socket_timeout: Seconds before a silent server counts as away.
    """

    def __init__(
        self, scripts: Scripts, settings: Settings, *, socket_timeout: float = SOCKET_TIMEOUT
    ) -> None:
        self._scripts = scripts
        self._socket_timeout = socket_timeout
        # No retries, as in `core.redis.scripts.connect`.
        self._pool: Any = ConnectionPool.from_url(
            settings.redis_url.reveal(),
            decode_responses=True,
            socket_connect_timeout=socket_timeout,
            retry=Retry(NoBackoff(), 0),
        )
        self._idle: list[AsyncConnection] = []
        self._digests: dict[str, bytes] = {}
        # Connecting, a batch, and its repetition: each is bounded by the socket timeout.
        self.commit = AsyncGroupCommit(self._send, timeout=3 * socket_timeout)

    async def run(self, order: ScriptCall) -> Any:
        """Run one script and return its reply once its writes are on disk.

        Raises:
            StoreUnavailable: Redis is away, or the write may not be on disk.
        """
        return await self.commit.run(Call(order.script, whole_json(order.payload)))

    async def close(self) -> None:
        """Close the connections."""
        self._close_idle()
        await asyncio.sleep(0)  # the loop closes sockets in its next turn

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _send(
        self, calls: Sequence[Call], answered: Callable[[], None]
    ) -> Coroutine[Any, Any, list[Any]]:
        """Run scripts in one round trip and wait until all of them are on disk.

        If a connection is open, the batch is written before this returns, so that Redis starts
        while the loop still has other work.
        """
        connection = self._usable()
        if connection is None:
            return self._results(calls, answered, None)
        return self._results(calls, answered, self._begin(connection, calls, answered))

    async def _results(
        self, calls: Sequence[Call], answered: Callable[[], None], sent: _SentBatch | None
    ) -> list[Any]:
        try:
            answers = await self._evaluate(calls, answered, sent)
            again = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if again:  # the server lost its script cache; the calls it did run must not run twice
                await self._load({calls[at].script for at in again})
                repeated = await self._evaluate([calls[at] for at in again], answered, None)
                for at, answer in zip(again, repeated, strict=True):
                    answers[at] = answer
        except TimeoutError as error:
            raise StoreUnavailable("Redis: timed out") from error
        except (RedisError, OSError) as error:
            raise unavailable(error) from error
        return [unavailable(a) if isinstance(a, Exception) else a for a in answers]

    async def _evaluate(
        self, calls: Sequence[Call], answered: Callable[[], None], sent: _SentBatch | None
    ) -> list[Any]:
        async with asyncio.timeout(self._socket_timeout):
            if sent is None:
                connection = self._usable() or await AsyncConnection.open(self._pool)
                sent = self._begin(connection, calls, answered)
            answers = await self._finish(*sent)
        synced = answers.pop() if len(answers) > len(calls) else [1]
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            self._close_idle()  # after a failover the host name points to another server
        if isinstance(synced, ResponseError):
            await self._recheck_durability()
        elif synced[0] < 1:
            raise StoreUnavailable("Redis: the write was not confirmed on disk in time")
        return answers

    def _begin(
        self, connection: AsyncConnection, calls: Sequence[Call], answered: Callable[[], None]
    ) -> _SentBatch:
        commands: list[tuple[Any, ...]] = [
            (b"EVALSHA", self._digest(name), 0, argument) for name, argument in calls
        ]
        confirm = self._scripts.confirmation
        if confirm:  # WAITAOF waits for all that its connection wrote, so one is enough
            commands.append(confirm)
        return connection, connection.send(commands, len(calls), answered)

    async def _finish(
        self, connection: AsyncConnection, answers: "asyncio.Future[list[Any]]"
    ) -> list[Any]:
        try:
            found = await answers
        except BaseException:
            # An answer that nobody read would be taken for the next command's.
            connection.close()
            raise
        self._idle.append(connection)
        return found

    def _usable(self) -> AsyncConnection | None:
        """Return an open connection that nobody uses; those that were closed are left out."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        return None

    async def _recheck_durability(self) -> None:
        """Raise why the server confirms nothing, unless it is one that needs no asking."""
        self._close_idle()  # after a failover the host name points to another server
        await asyncio.to_thread(self._scripts.check)
        if self._scripts.confirmation:
            raise StoreUnavailable("Redis: the write was not confirmed on disk")

    def _digest(self, name: str) -> bytes:
        digest = self._digests.get(name)
        if digest is None:
            text = self._scripts.source(name).encode()
            digest = sha1(text, usedforsecurity=False).hexdigest().encode()
            self._digests[name] = digest
        return digest

    async def _load(self, names: set[str]) -> None:
        async with asyncio.timeout(self._socket_timeout):
            connection = self._usable() or await AsyncConnection.open(self._pool)
            texts = [("SCRIPT", "LOAD", self._scripts.source(name)) for name in names]
            await self._finish(connection, connection.send(texts, 0, _ignore))


def _ignore() -> None:
    """Do nothing: the batch said before that it was answered."""
