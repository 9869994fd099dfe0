"""Runs the Lua scripts from an event loop, many calls per round trip.

What a batch asks, and what its replies mean, is `Scripts.batch`; here is only the waiting.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, RedisError

from core.errors import StoreUnavailable
from core.redis.async_connection import AsyncConnection
from core.redis.async_group_commit import AsyncGroupCommit
from core.redis.group_commit import Call
from core.redis.scripts import SOCKET_TIMEOUT, Batch, Round, Scripts, unavailable
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
        # Connecting, a batch, and its repetition: each is bounded by the socket timeout.
        timeout = 3 * socket_timeout
        self.commit = AsyncGroupCommit(partial(self._send, scripts.batch), timeout=timeout)
        self._reads = AsyncGroupCommit(partial(self._send, _reads), timeout=timeout)
        looks = partial(scripts.batch, durable=False)
        self._looks = AsyncGroupCommit(partial(self._send, looks), timeout=timeout)

    async def run(self, order: ScriptCall) -> Any:
        """Run one script and return its reply once its writes are on disk.

        Raises:
            StoreUnavailable: Redis is away, or the write may not be on disk.
        """
        return await self.commit.run(Call(order.script, whole_json(order.payload)))

    async def read(self, command: str, *arguments: str) -> Any:
        """Run a command that only reads; many that are asked for at once share a round trip.

        Raises:
            StoreUnavailable: Redis is away.
        """
        return await self._reads.run(Call(command, whole_json(arguments)))

    async def look(self, order: ScriptCall) -> Any:
        """Run a script that only reads and return its reply; it waits for no fsync.

        Raises:
            StoreUnavailable: Redis is away.
        """
        return await self._looks.run(Call(order.script, whole_json(order.payload)))

    async def read_hash(self, key: str) -> list[str]:
        """Return the fields of a hash and their values, one behind the other.

        Raises:
            StoreUnavailable: Redis is away.
        """
        found: list[str] | dict[str, str] = await self.read("HGETALL", key)
        if isinstance(found, dict):  # as the newer protocol has it
            return [text for pair in found.items() for text in pair]
        return found

    async def close(self) -> None:
        """Close the connections."""
        self._close_idle()
        await asyncio.sleep(0)  # the loop closes sockets in its next turn

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _send(
        self,
        plan: Callable[[Sequence[Call]], Batch],
        calls: Sequence[Call],
        answered: Callable[[], None],
    ) -> Coroutine[Any, Any, list[Any]]:
        """Run a batch by awaiting.

        If a connection is open, the batch is written before this returns, so that Redis starts
        while the loop still has other work.
        """
        batch = plan(calls)
        order = next(batch)
        connection = self._usable()
        sent = _begin(connection, order, answered) if connection and order else None
        return self._results(batch, order, answered, sent)

    async def _results(
        self,
        batch: Batch,
        order: Round | None,
        answered: Callable[[], None],
        sent: _SentBatch | None,
    ) -> list[Any]:
        try:
            while True:
                order = batch.send(await self._ask(order, answered, sent))
                sent = None
        except StopIteration as end:
            results: list[Any] = end.value
            return results
        except TimeoutError as error:
            raise StoreUnavailable("Redis: timed out") from error
        except (RedisError, OSError) as error:
            raise unavailable(error) from error

    async def _ask(
        self, order: Round | None, answered: Callable[[], None], sent: _SentBatch | None
    ) -> list[Any]:
        if order is None:
            self._close_idle()  # after a failover the host name points to another server
            await asyncio.to_thread(self._scripts.check)
            return []
        async with asyncio.timeout(self._socket_timeout):
            if sent is None:
                connection = self._usable() or await AsyncConnection.open(self._pool)
                sent = _begin(connection, order, answered)
            answers = await self._finish(*sent)
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            self._close_idle()  # as above
        return answers

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


def _reads(calls: Sequence[Call]) -> Batch:
    """Yield what runs commands that only read, which wait for no fsync."""
    commands = [(call.script, *json.loads(call.argument)) for call in calls]
    answers = yield Round(commands, 0)
    return [unavailable(a) if isinstance(a, Exception) else a for a in answers]


def _begin(connection: AsyncConnection, order: Round, answered: Callable[[], None]) -> _SentBatch:
    return connection, connection.send(order.commands, order.answered, answered)
