"""Resolves host names in bounded time; the system's own lookup has no timeout.

Each lookup runs on a thread of its own, and callers wait for it only so long. A lookup that hangs
blocks its thread, but not the callers: callers' names may have DNS servers that never answer.
"""

import math
import queue
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import httpx

Resolve = Callable[[str], list[str]]

#: Maximum wait in seconds: a resolver asks its second server after 5.
_LONGEST: Final = 10.0
#: Seconds within which a working name resolves; a longer wait counts as slow.
_FAST: Final = 0.25
#: Maximum number of concurrent lookups, each of another name; for all callers, and for each.
_MOST: Final = 128
_MOST_PER_CALLER: Final = 32
#: Seconds for which a failed lookup is cached, and the maximum number of cached names.
_REMEMBERED: Final = 5.0
_MOST_REMEMBERED: Final = 10_000
#: Seconds after which an idle thread ends.
_IDLE: Final = 30.0


class NameNotFound(httpx.ConnectError):
    """The host name does not resolve; the text may be shown."""


class LookupTimeout(httpx.ConnectTimeout):
    """The host name did not resolve in time; the text may be shown."""


class LookupsBusy(httpx.ConnectError):
    """Too many lookups are slow already; none was started."""


@dataclass(slots=True)
class _Lookup:
    host: str
    caller: str
    since: float
    done: threading.Event = field(default_factory=threading.Event)
    addresses: list[str] = field(default_factory=list)
    problem: str = ""


def system_addresses(host: str) -> list[str]:
    """Return a host's addresses from the system's resolver, each once.

    Raises:
        OSError: The name does not resolve.
        UnicodeError: It is not a valid host name.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Caller(threading.local):
    """For whom the current thread looks names up: one caller must not use up all lookups."""

    name: str = ""


class Lookups:
    """Resolves host names; thread-safe.

    Args:
        slow_waits: Maximum number of concurrent waits for slow lookups, for each caller; None: no
            limit.
        longest: Maximum wait in seconds.
        resolve: Returns a host's addresses, or raises.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        *,
        slow_waits: int | None = None,
        longest: float = _LONGEST,
        resolve: Resolve = system_addresses,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        #: Set by the caller, on its thread.
        self.caller = Caller()
        self._slow_waits = math.inf if slow_waits is None else slow_waits
        self._waiting: Counter[str] = Counter()
        self._longest = longest
        self._resolve = resolve
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Lookup] = queue.SimpleQueue()
        #: At least as many as there are running lookups.
        self._threads = 0
        self._in_flight: dict[str, _Lookup] = {}
        #: Name -> until when its failed lookup is cached, and its error.
        self._failed: dict[str, tuple[float, str]] = {}

    def addresses(self, host: str, within: float) -> list[str]:
        """Return a host's addresses.

        Args:
            host: A host name; concurrent calls for the same name share a lookup.
            within: Maximum wait in seconds.

        Raises:
            NameNotFound: The name does not resolve, or failed to a moment ago.
            LookupTimeout: The lookup takes longer.
            LookupsBusy: The lookup is slow, and too many calls wait for slow ones already.
        """
        lookup = self._started(host)
        within = min(within, self._longest - (self._clock() - lookup.since))
        if not lookup.done.wait(max(0.0, min(within, _FAST))):
            self._wait_for_slow(lookup, within - _FAST)
        if lookup.problem:
            raise NameNotFound(_message(lookup.problem))
        return lookup.addresses

    def _started(self, host: str) -> _Lookup:
        """Return the running lookup of a host, or start one."""
        with self._lock:
            now = self._clock()
            until, problem = self._failed.get(host, (now, ""))
            if now < until:
                raise NameNotFound(_message(problem))
            lookup = self._in_flight.get(host)
            if lookup:
                return lookup
            if len(self._in_flight) >= _MOST or self._started_by_caller() >= _MOST_PER_CALLER:
                raise LookupsBusy("too many name lookups are running")
            if self._threads <= len(self._in_flight):  # may fail, so it comes first
                threading.Thread(target=self._serve, name="look-up", daemon=True).start()
                self._threads += 1
            lookup = self._in_flight[host] = _Lookup(host, self.caller.name, now)
            self._queue.put(lookup)
            return lookup

    def _started_by_caller(self) -> int:
        name = self.caller.name
        return sum(lookup.caller == name for lookup in self._in_flight.values()) if name else 0

    def _wait_for_slow(self, lookup: _Lookup, seconds: float) -> None:
        if seconds <= 0:  # this lookup made others wait long enough; it gets no further slot
            raise LookupTimeout("the name lookup timed out")
        name = self.caller.name
        with self._lock:
            if self._waiting[name] >= self._slow_waits:
                raise LookupsBusy("too many slow name lookups")
            self._waiting[name] += 1
        try:
            if not lookup.done.wait(seconds):
                raise LookupTimeout("the name lookup timed out")
        finally:
            with self._lock:
                self._waiting[name] -= 1

    def _serve(self) -> None:
        """Run lookups until the thread has been idle for a while."""
        while True:
            try:
                lookup = self._queue.get(timeout=_IDLE)
            except queue.Empty:
                with self._lock:
                    if self._queue.empty():
                        self._threads -= 1
                        return
                continue
            try:
                lookup.addresses = self._resolve(lookup.host)
            except Exception as error:  # noqa: BLE001 - any error is the lookup's outcome
                lookup.problem = _describe(error)
            with self._lock:
                del self._in_flight[lookup.host]
                self._remember(lookup)
            lookup.done.set()

    def _remember(self, lookup: _Lookup) -> None:
        self._failed.pop(lookup.host, None)
        if lookup.problem:
            self._failed[lookup.host] = (self._clock() + _REMEMBERED, lookup.problem)
            if len(self._failed) > _MOST_REMEMBERED:
                del self._failed[next(iter(self._failed))]


def _describe(error: Exception) -> str:
    if isinstance(error, UnicodeError):  # an empty label, or one of more than 63 characters
        return "it is not a valid host name"
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _message(problem: str) -> str:
    return f"the name lookup failed: {problem}"
