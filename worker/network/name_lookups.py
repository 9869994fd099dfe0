"""Looks host names up in bounded time: the system's own look-up cannot be told when to give up.

Each look-up runs on a thread of its own, and whoever needs it waits for it only so long. One that
hangs keeps its thread, not those who wait: names that others chose may be served by nobody.
"""

import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import httpx

Resolve = Callable[[str], list[str]]

#: Seconds that are waited for a look-up at most: the resolver turns to its second server after 5.
_LONGEST: Final = 10.0
#: Seconds within which a name that is well is found; waiting for longer takes a place.
_SOON: Final = 0.25
#: Look-ups at a time, each of another name.
_MOST: Final = 64
#: Seconds for which a failed look-up is not repeated, and of how many names that is known.
_REMEMBERED: Final = 5.0
_MOST_REMEMBERED: Final = 10_000
#: Seconds after which a thread without work ends.
_IDLE: Final = 30.0


class NameNotFound(httpx.ConnectError):
    """The host's name cannot be looked up; the text may be shown."""


class LookupTimeout(httpx.ConnectTimeout):
    """The host's name was not looked up in time; the text may be shown."""


class LookupsBusy(httpx.ConnectError):
    """Too many wait for names already; nothing was tried."""


@dataclass(slots=True)
class _Lookup:
    host: str
    since: float
    done: threading.Event = field(default_factory=threading.Event)
    addresses: list[str] = field(default_factory=list)
    problem: str = ""


def system_addresses(host: str) -> list[str]:
    """Return the addresses of a host as the system finds them, each once.

    Raises:
        OSError: There are none.
        UnicodeError: It is no host name.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Lookups:
    """Looks names up; safe to use from many threads.

    Args:
        places: How many may wait for slow look-ups at a time; None: all.
        longest: Seconds that anybody waits for a look-up at most.
        resolve: Returns a host's addresses, or raises.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        *,
        places: int | None = None,
        longest: float = _LONGEST,
        resolve: Resolve = system_addresses,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = None if places is None else threading.BoundedSemaphore(places)
        self._longest = longest
        self._resolve = resolve
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[_Lookup] = queue.SimpleQueue()
        #: As many as there are look-ups under way, or more.
        self._threads = 0
        self._under_way: dict[str, _Lookup] = {}
        #: Name -> until when its look-up is not repeated, and what it failed with.
        self._failed: dict[str, tuple[float, str]] = {}

    def addresses(self, host: str, within: float) -> list[str]:
        """Return a host's addresses.

        Args:
            host: A name; several that ask for the same share a look-up.
            within: Seconds.

        Raises:
            NameNotFound: It has none, or had none a moment ago.
            LookupTimeout: The look-up takes longer.
            LookupsBusy: It takes long, and too many wait for such already.
        """
        lookup = self._begun(host)
        within = min(within, self._longest - (self._clock() - lookup.since))
        if not lookup.done.wait(max(0.0, min(within, _SOON))):
            self._wait_in_a_place(lookup, within - _SOON)
        if lookup.problem:
            raise NameNotFound(_told(lookup.problem))
        return lookup.addresses

    def _begun(self, host: str) -> _Lookup:
        """Return the look-up of a host that is under way, or begin one."""
        with self._lock:
            now = self._clock()
            until, problem = self._failed.get(host, (now, ""))
            if now < until:
                raise NameNotFound(_told(problem))
            lookup = self._under_way.get(host)
            if lookup:
                return lookup
            if len(self._under_way) >= _MOST:
                raise LookupsBusy("too many host names are being looked up")
            if self._threads <= len(self._under_way):  # before it is entered: this may fail
                threading.Thread(target=self._serve, name="look-up", daemon=True).start()
                self._threads += 1
            lookup = self._under_way[host] = _Lookup(host, now)
            self._queue.put(lookup)
            return lookup

    def _wait_in_a_place(self, lookup: _Lookup, seconds: float) -> None:
        if seconds <= 0:  # hung on others already: none is to hold a place for it again
            raise LookupTimeout("the host's name was not looked up in time")
        if self._places and not self._places.acquire(blocking=False):
            raise LookupsBusy("too many wait for host names that are slow to look up")
        try:
            if not lookup.done.wait(seconds):
                raise LookupTimeout("the host's name was not looked up in time")
        finally:
            if self._places:
                self._places.release()

    def _serve(self) -> None:
        """Do look-ups until there have been none for a while."""
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
            except Exception as error:  # noqa: BLE001 - whatever it is, the name is of no use now
                lookup.problem = _words(error)
            with self._lock:
                del self._under_way[lookup.host]
                self._remember(lookup)
            lookup.done.set()

    def _remember(self, lookup: _Lookup) -> None:
        self._failed.pop(lookup.host, None)
        if lookup.problem:
            self._failed[lookup.host] = (self._clock() + _REMEMBERED, lookup.problem)
            if len(self._failed) > _MOST_REMEMBERED:
                del self._failed[next(iter(self._failed))]


def _words(error: Exception) -> str:
    if isinstance(error, UnicodeError):  # an empty label, or one of more than 63 characters
        return "it is no host name"
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _told(problem: str) -> str:
    return f"the host's name cannot be looked up: {problem}"
