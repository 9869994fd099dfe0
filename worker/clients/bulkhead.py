"""Limits what runs at a time, so that slow callbacks and copies do not delay all others.

A callback to a receiver that hangs occupies a thread until its timeout, and a tenant may name any
number of such receivers. So a notify worker has more threads than it is set to have, in two
reserves: the last free threads go to tenants without a running callback, the ones before that to
receivers with few. All others are free for everybody, so a single receiver can still use as many
threads as are set. What finds no thread waits for a moment if the running callbacks are fast, and
is delayed without an attempt if they are slow: the queue holds other tenants' callbacks behind it.
A video takes a collect worker many times as long as an image, so videos have only some of its
threads. Each process keeps its own state in memory. No guarantee depends on it.
"""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from worker.clients.receiver import Receiver

#: Seconds within which a receiver that works answers.
_FAST: Final = 0.5
#: Maximum delay in seconds of a callback that found no thread.
_LONGEST: Final = 300.0
#: The share of the threads that are set by which each of the two reserves adds to them.
_RESERVE: Final = 4


def threads(concurrency: int) -> int:
    """Return how many threads a notify worker has, its reserves included."""
    return concurrency + 2 * _reserve(concurrency)


def _reserve(concurrency: int) -> int:
    return max(1, concurrency // _RESERVE)


@dataclass(slots=True)
class _Share:
    """The running attempts of a tenant, or of one of its receivers."""

    #: When each of them began.
    began: list[float] = field(default_factory=list)
    #: Until when callbacks that found no thread are delayed already.
    delayed_until: float = 0.0

    def is_slow(self, now: float) -> bool:
        """Return whether most attempts take long, so that a thread is not free soon."""
        return 2 * sum(now - began > _FAST for began in self.began) > len(self.began)


class Bulkhead:
    """Admits attempts at callbacks; thread-safe.

    Args:
        concurrency: The threads that are set; there are as many as `threads` returns.
        clock: Returns the time in seconds.
        rng: Source of the jitter.
        patience: Seconds for which a callback waits for a place while the running ones are fast.
    """

    def __init__(
        self,
        *,
        concurrency: int,
        clock: Callable[[], float],
        rng: random.Random,
        patience: float = _FAST,
    ) -> None:
        self._patience = patience
        self._reserve = _reserve(concurrency)
        self._free = threads(concurrency)
        self._clock = clock
        self._rng = rng
        self._changed = threading.Condition()
        #: Tenants and receivers with running attempts.
        self._shares: dict[tuple[str, ...], _Share] = {}

    @contextlib.contextmanager
    def place(self, receiver: Receiver) -> Iterator[float]:
        """Hold a place for an attempt inside the block.

        Yields:
            0; or, if there is no place, the seconds after which to ask again.
        """
        tenant = (receiver.tenant,)
        keys = (tenant, (receiver.tenant, receiver.host))
        with self._changed:
            patience = self._patience_for(*keys)
            if not self._changed.wait_for(lambda: self._admits(*keys), patience):
                wait = self._delay(*keys)
            else:
                wait, began = 0.0, self._clock()
                self._enter(keys, began)
        try:
            yield wait
        finally:
            if not wait:
                self._leave(keys, began)

    def _admits(self, tenant: tuple[str, ...], host: tuple[str, ...]) -> bool:
        if self._free > 2 * self._reserve:
            return True
        if self._free > self._reserve:
            return host not in self._shares or len(self._shares[host].began) < self._reserve
        return self._free > 0 and tenant not in self._shares

    def _patience_for(self, tenant: tuple[str, ...], host: tuple[str, ...]) -> float:
        """Return for how long a callback may wait here, on its thread, for a place."""
        share = self._shares.get(host) or self._shares.get(tenant)
        return 0.0 if share and share.is_slow(self._clock()) else self._patience

    def _delay(self, tenant: tuple[str, ...], host: tuple[str, ...]) -> float:
        """Return when it is this callback's turn, by how long the running ones have taken.

        Many that came back too early would keep the threads busy with nothing.
        """
        share = self._shares.get(host) or self._shares.get(tenant)
        if share is None:  # others hold all places
            return self._rng.uniform(0.5, 1.0)
        now = self._clock()
        step = max(now - min(share.began), _FAST) / len(share.began)
        share.delayed_until = min(max(now, share.delayed_until) + step, now + _LONGEST)
        return (share.delayed_until - now) * self._rng.uniform(0.5, 1.0)

    def _enter(self, keys: tuple[tuple[str, ...], ...], began: float) -> None:
        self._free -= 1
        for key in keys:
            self._shares.setdefault(key, _Share()).began.append(began)

    def _leave(self, keys: tuple[tuple[str, ...], ...], began: float) -> None:
        with self._changed:
            self._free += 1
            for key in keys:
                share = self._shares[key]
                share.began.remove(began)
                if not share.began:
                    del self._shares[key]
            self._changed.notify_all()


class VideoPlaces:
    """Admits copies of videos to at most half of a collect worker's threads; thread-safe.

    Args:
        concurrency: The worker's threads.
    """

    def __init__(self, concurrency: int) -> None:
        self._free = threading.BoundedSemaphore(max(1, concurrency // 2))

    @contextlib.contextmanager
    def place(self) -> Iterator[bool]:
        """Hold a place for a copy inside the block; yield whether there is one."""
        admitted = self._free.acquire(blocking=False)
        try:
            yield admitted
        finally:
            if admitted:
                self._free.release()
