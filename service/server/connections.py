"""All open connections: how many there may be, and which have to go."""

import logging
import resource
from dataclasses import dataclass
from typing import Final, Protocol

from core.log import event

_log = logging.getLogger(__name__)

#: Connections that are admitted beyond the limit, for health checks alone.
HEALTH_RESERVE: Final = 64
#: Connections that are accepted at a time, before any of them can be looked at.
ACCEPTED_AT_ONCE: Final = 100
#: Open files that are left for everything else: the above, connections to Redis and S3 (of which
#: images that are being sent have one each), files of large bodies.
_OTHER_FILES: Final = 576
_USUAL_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What may come before a caller is known."""

    #: Seconds for a head, and for the first 64 KiB of a body and each further.
    head_seconds: float
    body_seconds: float
    #: Connections at a time.
    most: int


def most_connections(setting: int | None) -> int:
    """Return how many connections there may be; unset, what the limit of open files leaves.

    Args:
        setting: The operator's number.
    """
    if setting is not None:
        return setting
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _USUAL_MOST
    return min(_USUAL_MOST, max(files - _OTHER_FILES, files // 4, 1))


class Watched(Protocol):
    """What is known of one connection here."""

    #: The loop's time at which what is waited for must have come.
    deadline: float

    def expire(self, now: float) -> None:
        """Act on a deadline that has passed."""

    def end(self) -> None:
        """End at once."""


class Connections:
    """Knows which connections wait for their client, the one that has waited longest first.

    Args:
        limits: How many there may be, and how long what may take.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: set[Watched] = set()
        #: A dictionary for its order.
        self._waiting: dict[Watched, None] = {}
        self._ended = 0

    def opened(self, connection: Watched) -> int:
        """Take note of a new connection; where there are too many, end one that only waits.

        Returns:
            How many there are beyond the limit, because none of the others only waits.
        """
        self._open.add(connection)
        if len(self._open) > self.limits.most and self._waiting:
            oldest = next(iter(self._waiting))
            self.lost(oldest)
            oldest.end()
            self._ended += 1
        self._waiting[connection] = None
        return len(self._open) - self.limits.most

    def lost(self, connection: Watched) -> None:
        """Take note that a connection has ended."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def waits(self, connection: Watched) -> None:
        """Take note that a connection has nothing to do but to wait for its client."""
        if connection in self._open:
            self._waiting[connection] = None

    def works(self, connection: Watched) -> None:
        """Take note that a connection has a request, so that it is not ended for others."""
        self._waiting.pop(connection, None)

    def look(self, now: float) -> None:
        """Act on all deadlines that have passed; tell of connections that had to go.

        Args:
            now: The loop's time.
        """
        for connection in [one for one in self._open if one.deadline <= now]:
            connection.expire(now)
        if self._ended:
            event(
                _log, "connections.full", logging.WARNING, ended=self._ended, most=self.limits.most
            )
            self._ended = 0
