"""Events that one request has not taken yet."""

import asyncio
from collections.abc import Container
from enum import Enum

from core.redis.events.event import Event


class Closed(Enum):
    """Why no more events come."""

    LEFT = "the client has left"
    LOST = "Redis is away"
    STOPPING = "the process stops"
    FULL = "the client reads too slowly"


class Mailbox:
    """Holds events until its request takes them.

    Args:
        most: More than so many close it.
        statuses: Only events of these are held; None: of all.
        batch: Only events of this batch are held; None: of all.
        patient: Whether it stays open while Redis is away.
    """

    __slots__ = ("_batch", "_events", "_most", "_statuses", "_taker", "closed", "patient")

    def __init__(
        self,
        most: int,
        statuses: Container[str] | None = None,
        batch: str | None = None,
        *,
        patient: bool = False,
    ) -> None:
        self.patient = patient
        self._most = most
        self._statuses = statuses
        self._batch = batch
        self._events: list[Event] = []
        self._taker: asyncio.Future[None] | None = None
        self.closed: Closed | None = None

    def admits(self, one: Event) -> bool:
        """Return whether an event is of those that this request wants."""
        if self._statuses is not None and one.status not in self._statuses:
            return False
        return self._batch is None or one.batch == self._batch

    def put(self, one: Event) -> None:
        """Add an event, if it is wanted."""
        if self.closed or not self.admits(one):
            return
        if len(self._events) >= self._most:
            self.close(Closed.FULL)
            return
        self._events.append(one)
        self._wake()

    def close(self, why: Closed) -> None:
        """Admit no more events, and wake the request."""
        self.closed = self.closed or why
        self._wake()

    def leave(self) -> None:
        """Close it because its client has left."""
        self.close(Closed.LEFT)

    async def take(self, seconds: float) -> list[Event]:
        """Return the events that have come; none if none comes in time, or once it is closed."""
        if not self._events and not self.closed:
            loop = asyncio.get_running_loop()
            self._taker = loop.create_future()
            timer = loop.call_later(seconds, self._wake)
            try:
                await self._taker
            finally:
                timer.cancel()
                self._taker = None
        taken, self._events = self._events, []
        return taken

    def _wake(self) -> None:
        if self._taker and not self._taker.done():
            self._taker.set_result(None)
