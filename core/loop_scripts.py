"""Runs the scripts of `core/lua` from an event loop, many of them in one round trip.

Scripts, errors and the word on durability are those of `core.redis_scripts`; only the waiting is
another.
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import Any, Final

import hiredis
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from core.commit import Call
from core.errors import StoreUnavailable
from core.loop_commit import LoopCommit
from core.plans import Order
from core.redis_scripts import SOCKET_TIMEOUT, Scripts, unavailable
from core.settings import Settings

#: Writes JSON as short as it can be.
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
#: Writes a command as Redis reads it; its own types allow one part only.
_pack: Final[Callable[[tuple[Any, ...]], bytes]] = hiredis.pack_command


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
        # Time limits are those of whole batches; a limit for each answer would cost more than
        # reading it. Nothing is repeated, as in `core.redis_scripts.connect`.
        self._pool: Any = ConnectionPool.from_url(
            settings.redis_url.reveal(),
            decode_responses=True,
            socket_connect_timeout=silence,
            retry=Retry(NoBackoff(), 0),
        )
        self._idle: list[Any] = []  # connections, whose methods have no types
        self._digests: dict[str, bytes] = {}
        # Connecting, and a batch that is sent anew: each ends within the time limit.
        self.commit = LoopCommit(self._send, patience=3 * silence)

    async def run(self, order: Order) -> Any:
        """Run one script and return its answer, once what it wrote is on disk.

        Raises:
            StoreUnavailable: Redis is away, or the write may not be on disk.
        """
        return await self.commit.run(Call(order.script, _encode(order.payload)))

    async def close(self) -> None:
        """Close the connections."""
        while self._idle:
            await self._idle.pop().disconnect()

    async def _send(self, calls: Sequence[Call], answered: Callable[[], None]) -> list[Any]:
        """Run scripts in one round trip, and wait until all of them are on disk."""
        try:
            answers = await self._evaluate(calls, answered)
            again = [at for at, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
            if again:  # the server forgot its scripts; what it did know must not run twice
                await self._load({calls[at].script for at in again})
                repeated = await self._evaluate([calls[at] for at in again], answered)
                for at, answer in zip(again, repeated, strict=True):
                    answers[at] = answer
        except TimeoutError as error:
            raise StoreUnavailable("Redis: Timeout, it is silent") from error
        except (RedisError, OSError) as error:
            raise unavailable(error) from error
        return [unavailable(a) if isinstance(a, Exception) else a for a in answers]

    async def _evaluate(self, calls: Sequence[Call], answered: Callable[[], None]) -> list[Any]:
        confirm = self._scripts.confirmation
        commands = [
            _pack((b"EVALSHA", self._digest(name), 0, argument)) for name, argument in calls
        ]
        if confirm:  # WAITAOF waits for all that its connection wrote, so one is enough
            commands.append(_pack(confirm))
        synced: Any = [1]
        async with self._connection() as connection:
            await connection.send_packed_command(commands, check_health=False)
            answers = [await _read(connection) for _ in calls]
            answered()
            if confirm:
                synced = await _read(connection)
            if any(isinstance(answer, ReadOnlyError) for answer in answers):
                await self.close()
                await connection.disconnect(nowait=True)
        if isinstance(synced, ResponseError):
            await self._find_out()
        elif synced[0] < 1:
            raise StoreUnavailable("Redis: the write was not confirmed on disk in time")
        return answers

    async def _find_out(self) -> None:
        """Raise why the server confirms nothing, unless it is one that needs no asking."""
        await self.close()  # after a failover its name leads to another server
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
        async with self._connection() as connection:
            for name in names:
                await connection.send_command("SCRIPT", "LOAD", self._scripts.source(name))
                await connection.read_response(timeout=math.inf)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """Lend a connection, with the time limit for what is done with it."""
        connection = self._idle.pop() if self._idle else self._pool.make_connection()
        try:
            async with asyncio.timeout(self._silence):
                if connection.is_connected and await connection.can_read():
                    await connection.disconnect(nowait=True)  # closed, or has what nobody asked for
                await connection.connect()
                yield connection
        except BaseException:
            # An answer that nobody read would be taken for the next command's.
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)


async def _read(connection: Any) -> Any:
    """Return an answer, or what the server has against the command."""
    try:
        return await connection.read_response(timeout=math.inf, disconnect_on_error=False)
    except ResponseError as error:
        return error
