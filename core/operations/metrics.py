"""Metrics for operators: counters since the beginning, and current gauges.

Counters are incremented in the same script as the change they count (`core/redis/lua`), so each
event counts once, whatever dies, and all processes count together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.operations.account_pauses import read_pause
from core.provider.accounts import Account
from core.redis.store import JobStore
from core.scheduling import circuit_breakers
from core.scheduling.slots import pools
from core.scheduling.task_queue import KEY_PREFIX, QUEUES

#: Upper bounds in seconds of the histogram of margins; the last bucket is "inf".
MARGIN_BOUNDS: Final = (0, 5, 15, 30, 60, 120, 240, 360, 480, 600)
RESUBMITS: Final = "resubmits"
REGENERATIONS: Final = "regenerations"
#: Counted by `core/redis/lua/transition.lua`.
DISCARDED: Final = "discarded"
BATCHES_ACCEPTED: Final = "batches:accepted"
BATCHES_COMPLETED: Final = "batches:completed"
#: What callbacks are about (`core/redis/lua/attempts.lua`).
CALLBACK_KINDS: Final = ("job", "batch", "test")


def callback_counter(kind: str, outcome: str) -> str:
    """Return the counter of attempts at callbacks of a kind that had an outcome."""
    return f"callbacks:{kind}:{outcome}"


def margin_counts(margin: float) -> dict[str, float]:
    """Return the counter increments for an image stored `margin` seconds before link expiry."""
    bound = next((bound for bound in MARGIN_BOUNDS if margin <= bound), "inf")
    return {f"margin:{bound}": 1, "margin:sum": margin}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSnapshot:
    """All metrics at one moment."""

    counters: Mapping[str, float]
    #: Items of batches that are no jobs yet.
    staged: int
    #: Lane -> waiting jobs.
    backlog: Mapping[str, int]
    #: Pool -> slots held, slots allowed.
    slots: Mapping[str, tuple[int, int]]
    #: Pool -> seconds until it is granted slots again.
    pauses: Mapping[str, float]
    #: Pool -> slots that it may hold at the moment.
    ceilings: Mapping[str, int]
    #: Queue -> waiting tasks.
    tasks: Mapping[str, int]
    #: Number of overdue due times, and seconds since the oldest.
    overdue: int
    overdue_seconds: float
    dead_letters: int
    #: Breaker -> whether it is open or half open.
    open_breakers: Mapping[str, bool]

    @property
    def batches_running(self) -> float:
        """How many batches are not completed."""
        counters = self.counters
        return counters.get(BATCHES_ACCEPTED, 0) - counters.get(BATCHES_COMPLETED, 0)


def take_snapshot(store: JobStore, accounts: Sequence[Account]) -> MetricsSnapshot:
    """Read all metrics.

    Raises:
        StoreUnavailable: Redis is unreachable.
    """
    read, now = store.read, store.now()
    served = pools(accounts)
    lanes = dict.fromkeys(lane["name"] for pool in served for lane in pool["lanes"])
    oldest = read("zrange", "due", 0, 0, withscores=True)
    names = [
        circuit_breakers.STORAGE,
        *(circuit_breakers.provider(pool["name"]) for pool in served),
    ]
    names += [
        circuit_breakers.provider(pool["name"], lane["model"])
        for pool in served
        for lane in pool["lanes"]
        if "limit" in lane
    ]
    pauses = {pool["name"]: read_pause(store, pool["name"]) for pool in served}
    ceilings = {name: pause.ceiling for name, pause in pauses.items()}
    return MetricsSnapshot(
        counters={name: float(value) for name, value in read("hgetall", "counters").items()},
        staged=int(read("get", "staged") or 0),
        backlog={lane: read("zcard", f"backlog:{lane}") for lane in lanes},
        slots={p["name"]: (read("zcard", f"slots:{p['name']}"), p["limit"]) for p in served},
        pauses={name: pause.seconds for name, pause in pauses.items()},
        ceilings={
            p["name"]: p["limit"] if (most := ceilings[p["name"]]) is None else most for p in served
        },
        tasks={queue: read("llen", f"{KEY_PREFIX}:queue:{queue}") for queue in QUEUES},
        overdue=read("zcount", "due", "-inf", now),
        overdue_seconds=max(0.0, now - oldest[0][1]) if oldest else 0.0,
        dead_letters=read("zcard", "dead"),
        open_breakers={
            name: int(read("hget", f"breaker:{name}", "failures") or 0)
            >= circuit_breakers.opens_after(name)
            for name in names
        },
    )
