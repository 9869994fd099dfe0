"""Limits on clients that have not shown a key yet: bytes, lines, seconds and connections."""

import logging
import resource
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from core.log import event
from core.settings.settings import Settings
from service.http.places import fair_share

_log = logging.getLogger(__name__)

#: Most bytes of a head; also of framing between chunks of a body or after its last.
LARGEST_HEAD: Final = 64 * 1024
MOST_HEADERS: Final = 200
#: Requests of one connection that may wait for their turn; 250 kB of memory.
MOST_PIPELINED: Final = 100
#: Bytes of a body that must arrive per body timeout. Larger bodies have a stricter rule of their
#: own (service/body/request_body.py).
LEAST_PROGRESS: Final = 64 * 1024
#: Connections admitted beyond the limit, for health checks only.
HEALTH_RESERVE: Final = 64
#: Connections accepted at a time, before any is checked.
ACCEPTED_AT_ONCE: Final = 100
#: File descriptors reserved for everything else: the above, connections to Redis and S3 (one per
#: image being sent), files of large bodies.
_OTHER_FILES: Final = 576
_USUAL_MOST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on unauthenticated clients."""

    #: Seconds for a head, and for each 64 KiB of a body.
    head_seconds: float
    body_seconds: float
    #: Most concurrent connections.
    most: int


def raise_open_files() -> None:
    """Raise the limit of open files to the highest that this process may have.

    The usual one, often 1024, is for programs that cannot count further. Each connection is a file.
    """
    _, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS shows a highest limit that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))


def log_limits(settings: Settings) -> None:
    """Log the limits of this process, as a warning if fewer requests may wait than configured."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiters, level, reason = most_waiters(settings), logging.INFO, None
    if waiters < settings.max_waiters:
        level = logging.WARNING
        reason = (
            f"FLUXRELAY_MAX_WAITERS is {settings.max_waiters}, but half of the connections at most "
            "may wait, and FLUXRELAY_MAX_CONNECTIONS or the limit of open files bounds these"
        )
    event(
        _log,
        "service.limits",
        level,
        open_files=None if files == resource.RLIM_INFINITY else files,
        connections=most_connections(settings.max_connections),
        waiting=waiters,
        waiting_of_one_tenant=waiters_of_each(settings),
        events_of_one_tenant=settings.max_event_streams,
        reason=reason,
    )


def most_connections(setting: int | None) -> int:
    """Return the connection limit; by default what the limit of open files leaves.

    Args:
        setting: The configured limit.
    """
    if setting is not None:
        return setting
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _USUAL_MOST
    return min(_USUAL_MOST, max(files - _OTHER_FILES, files // 4, 1))


def most_waiters(settings: Settings) -> int:
    """Return how many requests may wait at a time; the other half of the connections stays free.

    Args:
        settings: The limits that are configured.
    """
    return min(settings.max_waiters, max(most_connections(settings.max_connections) // 2, 1))


def waiters_of_each(settings: Settings) -> int:
    """Return how many requests of one tenant may wait: half of them if there are other tenants.

    Args:
        settings: The limits that are configured, and the tenants.
    """
    return fair_share(most_waiters(settings), len(set(settings.api_keys.values())))
