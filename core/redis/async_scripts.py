"""Runs the scripts of `core/redis/lua` from an event loop, many of them in one round trip.

Scripts, errors and the word on durability are those of `core.redis.scripts`; only the waiting is
another.
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
from core.redis.async_connection import LoopConnection
from core.redis.async_group_commit import LoopCommit
from core.redis.group_commit import Call
from core.redis.scripts import SOCKET_TIMEOUT, Scripts, unavailable
from core.redis.transitions import Order
from core.settings.settings import Settings
from core.whole_json import whole_json

#: A batch that was written, and what will be its answers.
_Begun = tuple[LoopConnection, "asyncio.Future[list[Any]]"]


class LoopScripts:
    """Runs scripts for requests that await them.

    Args:
        scripts: What they are, and what their server promises.
        settings: Names the server.
        silence: Seconds before a silent server counts as away.
    """

    def __init__(
        self, scripts: Scripts, settings: Settings, *, silence: float = SOCKET_TIMEOUT
    ) -> None:
        self._scripts = scripts
        self._silence = silence
        # Nothing is repeated, as in `core.redis.scripts.connect`.
        self._pool: Any = ConnectionPool.from_url(
            settings.redis_url.reveal(),
            decode_responses=True,
            socket_connect_timeout=silence,
            retry=Retry(NoBackoff(), 0),
        )
        self._idle: list[LoopConnection] = []
        self._digests: dict[str, bytes] = {}
        # Connecting, and a batch that is sent anew: each ends within the time limit.
        self.commit = LoopCommit(self._send, patience=3 * silence)

    async def run(self, order: Order) -> Any:
        """Run one script and return its answer, once what it wrote is on disk.

        Raises:
            StoreUnavailable: Redis is away, or the write may not be on disk.
        """
        return await self.commit.run(Call(order.script, whole_json(order.payload)))

    async def close(self) -> None:
        """Close the connections."""
        self._hang_up()
        await asyncio.sleep(0)  # sockets are closed in the loop's next turn

    def _hang_up(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _send(
        self, calls: Sequence[Call], answered: Callable[[], None]
    ) -> Coroutine[Any, Any, list[Any]]:
        """Run scripts in one round trip, and wait until all of them are on disk.

        Where a connection is open they are written before this returns, so that Redis begins while
        the loop still has other things to do.
        """
        connection = self._usable()
        if connection is None:
            return self._results(calls, answered, None)
        return self._results(calls, answered, self._begin(connection, calls, answered))

    async def _results(
        self, calls: Sequence[Call], answered: Callable[[], None], begun: _Begun | None
    ) -> list[Any]:
        try:
            answers = await self._evaluate(calls, answered, begun)
            again = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if again:  # the server forgot its scripts; what it did know must not run twice
                await self._load({calls[at].script for at in again})
                repeated = await self._evaluate([calls[at] for at in again], answered, None)
                for at, answer in zip(again, repeated, strict=True):
                    answers[at] = answer
        except TimeoutError as error:
            raise StoreUnavailable("Redis: Timeout, it is silent") from error
        except (RedisError, OSError) as error:
            raise unavailable(error) from error
        return [unavailable(a) if isinstance(a, Exception) else a for a in answers]

    async def _evaluate(
        self, calls: Sequence[Call], answered: Callable[[], None], begun: _Begun | None
    ) -> list[Any]:
        async with asyncio.timeout(self._silence):
            if begun is None:
                connection = self._usable() or await LoopConnection.open(self._pool)
                begun = self._begin(connection, calls, answered)
            answers = await self._finish(*begun)
        synced = answers.pop() if len(answers) > len(calls) else [1]
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            self._hang_up()  # after a failover its name leads to another server
        if isinstance(synced, ResponseError):
            await self._find_out()
        elif synced[0] < 1:
            raise StoreUnavailable("Redis: the write was not confirmed on disk in time")
        return answers

    def _begin(
        self, connection: LoopConnection, calls: Sequence[Call], answered: Callable[[], None]
    ) -> _Begun:
        commands: list[tuple[Any, ...]] = [
            (b"EVALSHA", self._digest(name), 0, argument) for name, argument in calls
        ]
        confirm = self._scripts.confirmation
        if confirm:  # WAITAOF waits for all that its connection wrote, so one is enough
            commands.append(confirm)
        return connection, connection.send(commands, len(calls), answered)

    async def _finish(
        self, connection: LoopConnection, answers: "asyncio.Future[list[Any]]"
    ) -> list[Any]:
        try:
            found = await answers
        except BaseException:
            # An answer that nobody read would be taken for the next command's.
            connection.close()
            raise
        self._idle.append(connection)
        return found

    def _usable(self) -> LoopConnection | None:
        """Return an open connection that nobody uses; those that were closed are left out."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
        return None

    async def _find_out(self) -> None:
        """Raise why the server confirms nothing, unless it is one that needs no asking."""
        self._hang_up()  # after a failover its name leads to another server
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
        async with asyncio.timeout(self._silence):
            connection = self._usable() or await LoopConnection.open(self._pool)
            texts = [("SCRIPT", "LOAD", self._scripts.source(name)) for name in names]
            await self._finish(connection, connection.send(texts, 0, _told))


def _told() -> None:
    """Do nothing: the batch said before that it was answered."""
