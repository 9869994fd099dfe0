"""Tracks all open connections, and closes some when there are too many."""

import logging
from typing import Protocol

from core.log import event
from service.server.limits import Limits

_log = logging.getLogger(__name__)


class ManagedConnection(Protocol):
    """The interface of a connection to this registry."""

    #: Loop time by which the awaited input must have arrived.
    deadline: float

    def expire(self, now: float) -> None:
        """Act on a deadline that has passed."""

    def end(self) -> None:
        """Close at once."""


class Connections:
    """Tracks connections, and which of them are idle, the longest idle first.

    Args:
        limits: Limits on their number and on timeouts.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: set[ManagedConnection] = set()
        #: A dict, for its insertion order.
        self._waiting: dict[ManagedConnection, None] = {}
        self._ended = 0

    def opened(self, connection: ManagedConnection) -> int:
        """Register a new connection; if there are too many, close the longest idle one.

        Returns:
            How many exceed the limit because no other is idle.
        """
        self._open.add(connection)
        if len(self._open) > self.limits.most and self._waiting:
            oldest = next(iter(self._waiting))
            self.lost(oldest)
            oldest.end()
            self._ended += 1
        self._waiting[connection] = None
        return len(self._open) - self.limits.most

    def lost(self, connection: ManagedConnection) -> None:
        """Unregister a closed connection."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def waits(self, connection: ManagedConnection) -> None:
        """Mark a connection as idle."""
        if connection in self._open:
            self._waiting[connection] = None

    def works(self, connection: ManagedConnection) -> None:
        """Mark a connection as busy, so that it is not closed for others."""
        self._waiting.pop(connection, None)

    def look(self, now: float) -> None:
        """Act on expired deadlines; log connections closed for lack of room.

        Args:
            now: The current loop time.
        """
        for connection in [one for one in self._open if one.deadline <= now]:
            connection.expire(now)
        if self._ended:
            event(
                _log, "connections.full", logging.WARNING, ended=self._ended, most=self.limits.most
            )
            self._ended = 0
