"""Follows the event streams of all tenants, over one connection that blocks in Redis.

After a lost connection it goes on from the last event that it has read, so that none is missed.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError

from core.log import event
from core.redis.async_connection import AsyncConnection
from core.redis.events.event import Event, EventId
from core.redis.scripts import SOCKET_TIMEOUT, unavailable
from core.settings.settings import Settings

_log = logging.getLogger(__name__)

#: Milliseconds that Redis waits for an event before it answers that there was none.
_BLOCK: Final = 5000
#: Most events of a tenant per answer.
_MOST: Final = 1000
#: Seconds to let events gather: however many come, Redis is asked at most so often.
_GATHER: Final = 0.005
#: Seconds between two attempts to reach Redis.
_RETRY: Final = 0.5


class Follower(Protocol):
    """Whoever is told of events."""

    def wants_more(self) -> bool:
        """Return whether to go on reading."""

    def connected(self) -> None:
        """Take note that every event from now on will be delivered."""

    def deliver(self, tenant: str, one: Event) -> None:
        """Take an event."""

    def lost(self) -> None:
        """Take note that Redis is away; events are delivered once it is back."""


class EventStream:
    """Reads events.

    Args:
        settings: Names the server and the tenants.
        socket_timeout: Seconds before a silent server counts as away.
    """

    def __init__(self, settings: Settings, *, socket_timeout: float = SOCKET_TIMEOUT) -> None:
        self._socket_timeout = socket_timeout
        self._pool: Any = ConnectionPool.from_url(
            settings.redis_url.reveal(),
            decode_responses=True,
            socket_connect_timeout=socket_timeout,
            retry=Retry(NoBackoff(), 0),
        )
        self._tenants = {stream_key(tenant): tenant for tenant in settings.api_keys.values()}
        #: The last event read of each stream, or an id below every event since then.
        self._read: dict[str, EventId] = {}
        #: How often Redis has answered.
        self._rounds = 0

    def position(self, tenant: str) -> EventId:
        """Return an id below all events of a tenant that are yet to be delivered."""
        return self._read[stream_key(tenant)]

    async def follow(self, follower: Follower) -> None:
        """Read events from now on, as long as the follower wants more."""
        self._read, rounds = {}, self._rounds
        while follower.wants_more():
            try:
                async with asyncio.timeout(self._socket_timeout):
                    connection = await AsyncConnection.open(self._pool)
                try:
                    await self._begin(connection)
                    follower.connected()
                    await self._follow(connection, follower)
                finally:
                    connection.close()
            except (RedisError, OSError, TimeoutError) as error:
                if self._rounds == rounds:  # not just an idle connection that was closed
                    event(_log, "events.lost", logging.WARNING, reason=str(unavailable(error)))
                    follower.lost()
                    await asyncio.sleep(_RETRY)
                rounds = self._rounds

    async def _begin(self, connection: AsyncConnection) -> None:
        """Begin with the events from now on; later, go on where reading has ended."""
        # The second command fails while Redis still loads its data.
        now, _ = await self._ask(connection, [("TIME",), ("EXISTS", *self._tenants)], 0)
        self._read = self._read or dict.fromkeys(self._tenants, EventId.before(*now))

    async def _follow(self, connection: AsyncConnection, follower: Follower) -> None:
        while follower.wants_more():
            places = (*self._read, *map(str, self._read.values()))
            read = ("XREAD", "COUNT", _MOST, "BLOCK", _BLOCK, "STREAMS", *places)
            now, found = await self._ask(connection, [("TIME",), read], _BLOCK / 1000)
            self._rounds += 1
            # A stream that had nothing has nothing before this moment, however old its last event.
            idle, read_now = EventId.before(*now), dict(_streams(found))
            for key, last in self._read.items():
                self._read[key] = max(last, idle)
            for key, entries in read_now.items():
                self._read[key] = EventId.parse(entries[-1][0]) or idle
                for one in events(entries):
                    follower.deliver(self._tenants[key], one)
            if read_now:
                await asyncio.sleep(_GATHER)

    async def _ask(
        self, connection: AsyncConnection, commands: Sequence[tuple[Any, ...]], blocks: float
    ) -> list[Any]:
        if not connection.is_usable:  # it was lost between two commands
            raise LostConnection("Connection closed by server.")
        async with asyncio.timeout(self._socket_timeout + blocks):
            answers = await connection.send(commands, 0, _nothing)
        for answer in answers:
            if isinstance(answer, RedisError):
                raise answer
        return answers


def stream_key(tenant: str) -> str:
    """Return the key of a tenant's stream."""
    return f"events:{tenant}"


def events(entries: Iterable[tuple[str, Sequence[str]]]) -> list[Event]:
    """Read entries of a stream, as Redis returns them."""
    read = (Event.read(text, pairs) for text, pairs in entries)
    return [one for one in read if one]


def _streams(found: Any) -> Iterable[tuple[str, Any]]:
    """Return what XREAD found, by stream, in either version of the protocol."""
    return found.items() if isinstance(found, dict) else (found or ())


def _nothing() -> None:
    """Do nothing: the batch has no fsync to wait for."""
