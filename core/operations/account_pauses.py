"""Reads whether, why and for how long an account is paused or limited."""

from typing import NamedTuple

from core.redis.store import JobStore
from core.scheduling import circuit_breakers


class Pause(NamedTuple):
    """How an account is currently restricted."""

    #: Why no slots are granted, or only one at a time; None if not paused.
    reason: str | None
    #: Seconds until slots are granted again; 0 if not paused, or during a trial with one job.
    seconds: float
    #: Cap on slots after the provider reported being busy; None: no cap.
    ceiling: int | None
    #: Seconds until the cap ends.
    ceiling_seconds: float


def read_pause(store: JobStore, pool: str) -> Pause:
    """Read the restrictions of one account.

    Raises:
        StoreUnavailable: Redis is unreachable.
    """
    paused, ceiling = store.read("mget", [f"pool:{pool}:paused", f"pool:{pool}:ceiling"])
    reason, seconds = paused, _left(store, f"pool:{pool}:paused") if paused else 0.0
    name = circuit_breakers.provider(pool)
    failures, why, until = store.read(
        "hmget", f"breaker:{name}", "failures", "reason", "open_until"
    )
    if int(failures or 0) >= circuit_breakers.opens_after(name):
        reason = reason or why
        seconds = max(seconds, float(until or 0) - store.now())
    return Pause(
        reason,
        max(0.0, seconds),
        None if ceiling is None else int(ceiling),
        0.0 if ceiling is None else _left(store, f"pool:{pool}:ceiling"),
    )


def _left(store: JobStore, key: str) -> float:
    return max(0, int(store.read("pttl", key))) / 1000
