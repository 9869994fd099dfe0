"""A circuit breaker per receiver of callbacks, so that one that hangs does not hold up the others.

Each attempt at a receiver that does not answer takes a thread for as long as it may take to answer.
After some failures in a row a receiver is left alone for a while, longer each time; then one
callback at a time finds out whether it is back. Kept by each process for itself, in memory: it
saves time, and promises nothing.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from worker.retry import backoff

#: Failures in a row after which a receiver is left alone.
_OPENS_AFTER: Final = 5
#: Seconds for which it is, at first and at most.
_BASE: Final = 2.0
_LONGEST: Final = 300.0
#: Receivers in trouble that are remembered; beyond, the one that was added first is forgotten.
_MOST: Final = 10_000


@dataclass(slots=True)
class _Trouble:
    failures: int = 0
    open_until: float = 0.0
    trying_until: float = 0.0


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
        self._rng = rng
        self._lock = threading.Lock()
        self._troubles: dict[str, _Trouble] = {}

    def wait(self, url: str) -> float:
        """Return the seconds for which this URL's host is to be left alone; 0: call it now."""
        with self._lock:
            trouble = self._troubles.get(urlsplit(url).netloc)
            if trouble is None or trouble.failures < _OPENS_AFTER:
                return 0.0
            now = self._clock()
            left = max(trouble.open_until, trouble.trying_until) - now
            if left > 0:
                return left
            trouble.trying_until = now + self._trying
            return 0.0

    def passed(self, url: str) -> None:
        """Note that the host answered."""
        with self._lock:
            self._troubles.pop(urlsplit(url).netloc, None)

    def failed(self, url: str) -> None:
        """Note that the host gave no answer, or one that says it is in trouble."""
        with self._lock:
            trouble = self._troubles.setdefault(urlsplit(url).netloc, _Trouble())
            if len(self._troubles) > _MOST:
                del self._troubles[next(iter(self._troubles))]
            now = self._clock()
            if now < trouble.open_until:  # begun before it opened: nothing new
                return
            trouble.failures += 1
            over = trouble.failures - _OPENS_AFTER
            if over >= 0:
                pause = backoff(over, base=_BASE, longest=_LONGEST, rng=self._rng)
                trouble.open_until, trouble.trying_until = now + pause, 0.0
