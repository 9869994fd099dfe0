"""Circuit breakers per receiver of callbacks, so that one that hangs does not hold up the others.

Each attempt at a receiver that does not answer takes a thread for as long as it may take to answer.
After some failures in a row a receiver is left alone for a while, longer each time; then one
callback at a time finds out whether it is back. Silence counts for the host as a whole, which is
not there for any of its URLs. An answer that tells of trouble counts for its own URL alone: other
tenants may have theirs on the same host, and be well. Kept by each process for itself, in memory:
it saves time, and promises nothing.
"""

import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from worker.clients.backoff import backoff

#: Failures in a row after which a receiver is left alone.
_OPENS_AFTER: Final = 5
#: Seconds for which it is, at first and at most.
_BASE: Final = 2.0
_LONGEST: Final = 300.0
#: Hosts, and URLs, in trouble that are remembered; beyond, the first added is forgotten.
_MOST: Final = 10_000


@dataclass(slots=True)
class _Trouble:
    failures: int = 0
    open_until: float = 0.0
    trying_until: float = 0.0
    #: Until when it asked to be left alone, however few its failures are.
    rests_until: float = 0.0
    failed_at: float = -math.inf


class _Troubles:
    """What is known of hosts, or of URLs; its user holds the lock."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._known: dict[bytes, _Trouble] = {}

    def wait(self, name: str, now: float, *, despite_pause: bool) -> float:
        """Return the seconds for which it is to be left alone; 0: it may be called."""
        trouble = self._known.get(_digest(name))
        if not trouble:
            return 0.0
        until = 0.0 if despite_pause else trouble.rests_until
        if trouble.failures >= _OPENS_AFTER:
            until = max(until, trouble.open_until, trouble.trying_until)
        return max(0.0, until - now)

    def trying(self, name: str, until: float) -> None:
        """Note that one callback finds out whether it is back; the others wait for it."""
        trouble = self._open(name)
        if trouble:
            trouble.trying_until = until

    def passed(self, name: str) -> None:
        """Forget its trouble."""
        self._known.pop(_digest(name), None)

    def failed(self, name: str, now: float) -> None:
        """Count a failure."""
        trouble = self._added(name)
        trouble.failed_at = now
        if now < trouble.open_until:  # begun before it opened: nothing new
            return
        trouble.failures += 1
        over = trouble.failures - _OPENS_AFTER
        if over >= 0:
            pause = backoff(over, base=_BASE, longest=_LONGEST, rng=self._rng)
            trouble.open_until, trouble.trying_until = now + pause, 0.0

    def failed_at(self, name: str) -> float:
        """Return when an attempt failed last."""
        trouble = self._known.get(_digest(name))
        return trouble.failed_at if trouble else -math.inf

    def rests(self, name: str, until: float) -> None:
        """Leave it alone until then."""
        trouble = self._added(name)
        trouble.rests_until = max(trouble.rests_until, until)

    def _added(self, name: str) -> _Trouble:
        trouble = self._known.setdefault(_digest(name), _Trouble())
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]
        return trouble

    def _open(self, name: str) -> _Trouble | None:
        trouble = self._known.get(_digest(name))
        return trouble if trouble and trouble.failures >= _OPENS_AFTER else None


class HostBreakers:
    """Says whether a receiver may be called; safe to use from many threads.

    Args:
        trying: Seconds that one attempt may take.
        clock: Returns the time in seconds.
        rng: Source of the jitter.
    """

    def __init__(self, *, trying: float, clock: Callable[[], float], rng: random.Random) -> None:
        self._trying = trying
        self._clock = clock
        self._lock = threading.Lock()
        # Apart, so that many URLs in trouble do not make us forget a host that hangs.
        self._hosts = _Troubles(rng)
        self._urls = _Troubles(rng)

    def wait(self, url: str, *, despite_pause: bool = False) -> float:
        """Return the seconds for which this URL is to be left alone; 0: call it now.

        Args:
            url: Which.
            despite_pause: Call it also within a pause that it asked for.
        """
        host = _host(url)
        with self._lock:
            now = self._clock()
            left = max(
                self._hosts.wait(host, now, despite_pause=despite_pause),
                self._urls.wait(url, now, despite_pause=despite_pause),
            )
            if not left:
                self._hosts.trying(host, now + self._trying)
                self._urls.trying(url, now + self._trying)
            return left

    def failed_ago(self, url: str) -> float:
        """Return how many seconds ago, at most, the last failed attempt there began."""
        with self._lock:
            ended_at = max(self._hosts.failed_at(_host(url)), self._urls.failed_at(url))
            return self._clock() - ended_at + self._trying

    def passed(self, url: str) -> None:
        """Note that the receiver answered."""
        with self._lock:
            self._hosts.passed(_host(url))
            self._urls.passed(url)

    def troubled(self, url: str) -> None:
        """Note that the URL's answer said that it is in trouble; its host is there."""
        with self._lock:
            self._hosts.passed(_host(url))
            self._urls.failed(url, self._clock())

    def asked_for_rest(self, url: str, seconds: float) -> None:
        """Note that the URL's answer asked for so long a pause; its neighbours' did not."""
        with self._lock:
            self._urls.rests(url, self._clock() + seconds)

    def silent(self, url: str) -> None:
        """Note that the host gave no answer."""
        with self._lock:
            self._hosts.failed(_host(url), self._clock())


def _host(url: str) -> str:
    """Return whom a URL leads to, itself where it is none."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return url


def _digest(name: str) -> bytes:
    """Return what stands for a name: URLs may be long, and hold their callers' secrets."""
    return sha256(name.encode(errors="surrogatepass")).digest()
