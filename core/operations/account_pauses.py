"""For how long, and why, an account is granted no slots, or fewer than it has."""

from typing import NamedTuple

from core.redis.store import JobStore
from core.scheduling import circuit_breakers


class Pause(NamedTuple):
    """How an account is held back right now."""

    #: Why nothing is granted, or one job at a time; None where it does not rest.
    reason: str | None
    #: Seconds until jobs are granted again; 0 where it does not rest, or is tried with one job.
    seconds: float
    #: Slots that are granted at most, since the provider said that it was busy; None: all of them.
    ceiling: int | None
    #: Seconds for which that holds.
    ceiling_seconds: float


def read_pause(store: JobStore, pool: str) -> Pause:
    """Look at one account.

    Raises:
        StoreUnavailable: Redis is away.
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
