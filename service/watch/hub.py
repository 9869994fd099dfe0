"""Hands events to the requests that wait for them.

Each process reads the streams once, however many requests wait, and only while any does.
"""

import asyncio
import logging
from collections.abc import Container
from typing import Any, Final

from starlette.requests import Request
from starlette.types import Scope

from core.errors import StoreUnavailable
from core.log import crash
from core.redis.events.event import Event
from core.redis.events.event_stream import EventStream
from service.http.leaving import HAS_LEFT, ON_LEAVE
from service.watch.mailbox import Closed, Mailbox
from service.watch.waiters import Kind, Waiters

_log = logging.getLogger(__name__)

#: Seconds for which the streams are read on although nobody waits: the next one often comes soon.
_LINGER: Final = 10.0
#: Most events that a request may leave untaken.
MOST_UNTAKEN: Final = 1000
#: Seconds between two comments in a stream that has nothing to tell.
KEEP_ALIVE: Final = 15.0


class Hub:
    """Knows all requests that wait.

    Args:
        stream: Where events are read.
        waiters: Count the requests, and bound their number.
        keep_alive: Seconds between two comments in a silent stream.
    """

    def __init__(
        self, stream: EventStream, waiters: Waiters, *, keep_alive: float = KEEP_ALIVE
    ) -> None:
        self.stream = stream
        self.keep_alive = keep_alive
        self.waiters = waiters
        self._boxes: dict[str, list[Mailbox]] = {}
        self._reader: asyncio.Task[None] | None = None
        #: Resolved once the reader reaches Redis (True) or does not.
        self._reached: asyncio.Future[bool] | None = None
        self._needed_at = 0.0
        self._stopping = False

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self.waiters.count

    def mailbox(
        self,
        key: str,
        request: Request[Any],
        statuses: Container[str] | None = None,
        batch: str | None = None,
        *,
        tenant: str,
        kind: Kind,
        patient: bool = False,
    ) -> "OpenMailbox":
        """Return a context with a mailbox of a job, a batch, or (`tenant_key`) all of a tenant.

        Within it no event is missed. It is closed when the client leaves.

        Args:
            key: Whose events.
            request: The request that waits.
            statuses: Only events of these; None: of all.
            batch: Only events of this batch.
            tenant: Who sent it.
            kind: What it waits for.
            patient: Whether it stays open while Redis is away; missed events come afterwards.
        """
        box = Mailbox(MOST_UNTAKEN, statuses, batch, patient=patient)
        return OpenMailbox(self, key, request.scope, box, tenant=tenant, kind=kind)

    async def add(self, key: str, box: Mailbox) -> None:
        """Put events into a mailbox from now on.

        Raises:
            StoreUnavailable: Redis is away.
        """
        self._boxes.setdefault(key, []).append(box)
        if self._stopping:
            box.close(Closed.STOPPING)
        try:
            if not box.closed:
                await self._reach()
        except BaseException:
            self.remove(key, box)
            raise

    def release_all(self) -> None:
        """End all waiting, now and from now on: the process stops."""
        self._stopping = True
        for box in self._open():
            box.close(Closed.STOPPING)

    async def close(self) -> None:
        """Stop reading."""
        if self._reader:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    def wants_more(self) -> bool:
        """Return whether any request waits, or did a little while ago."""
        now = asyncio.get_running_loop().time()
        if self.waiters.count:
            self._needed_at = now
        return now - self._needed_at < _LINGER

    def connected(self) -> None:
        """Let requests go on: from now on no event is missed."""
        self._settle(reached=True)

    def deliver(self, tenant: str, one: Event) -> None:
        """Give an event to those who wait for its job or batch, and for all of the tenant's."""
        for key in (one.job or one.batch, tenant_key(tenant)):
            for box in self._boxes.get(key, ()):
                box.put(one)

    def lost(self) -> None:
        """Close the mailboxes that are not patient."""
        self._settle(reached=False)
        for box in self._open():
            if not box.patient:
                box.close(Closed.LOST)

    def _open(self) -> list[Mailbox]:
        return [box for boxes in self._boxes.values() for box in boxes]

    async def _reach(self) -> None:
        """Start reading unless somebody has; return once no event is missed any more."""
        self._needed_at = asyncio.get_running_loop().time()
        if self._reader is None or self._reader.done():
            self._reached = asyncio.get_running_loop().create_future()
            self._reader = asyncio.get_running_loop().create_task(self._read())
        if self._reached and not await asyncio.shield(self._reached):
            raise StoreUnavailable("Redis: its event streams cannot be read")

    def _settle(self, *, reached: bool) -> None:
        if self._reached is None or self._reached.done():
            self._reached = asyncio.get_running_loop().create_future()
        self._reached.set_result(reached)

    async def _read(self) -> None:
        try:
            await self.stream.follow(self)
        except Exception as mistake:  # noqa: BLE001 - whoever comes next starts it again
            crash(_log, "events.crashed", mistake)
            self.lost()

    def remove(self, key: str, box: Mailbox) -> None:
        """Put no more events into a mailbox."""
        boxes = self._boxes[key]
        boxes.remove(box)
        if not boxes:
            del self._boxes[key]


class OpenMailbox:
    """A context with a mailbox: thousands may be open, so it is no generator, which takes more.

    Args:
        hub: Puts events into it.
        key: Whose.
        scope: Of the request that waits.
        box: The mailbox.
        tenant: Who waits.
        kind: What for.
    """

    __slots__ = ("_box", "_hub", "_key", "_kind", "_scope", "_tenant")

    def __init__(
        self, hub: Hub, key: str, scope: Scope, box: Mailbox, *, tenant: str, kind: Kind
    ) -> None:
        self._hub = hub
        self._key = key
        self._scope = scope
        self._box = box
        self._tenant = tenant
        self._kind = kind

    async def __aenter__(self) -> Mailbox:
        box = self._box
        self._hub.waiters.enter(self._tenant, self._kind)
        if HAS_LEFT in self._scope:  # before it could be told
            box.close(Closed.LEFT)
        self._scope[ON_LEAVE] = box.leave
        try:
            await self._hub.add(self._key, box)
        except BaseException:
            self._scope.pop(ON_LEAVE, None)
            self._hub.waiters.leave(self._tenant, self._kind)
            raise
        return box

    async def __aexit__(self, *_error: object) -> None:
        self._scope.pop(ON_LEAVE, None)
        self._hub.remove(self._key, self._box)
        self._hub.waiters.leave(self._tenant, self._kind)


def tenant_key(tenant: str) -> str:
    """Return the key of all jobs of a tenant; no id of a job contains a colon."""
    return f"tenant:{tenant}"
