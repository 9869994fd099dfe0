"""What an operator watches: counters since the beginning, and how things stand now.

Counters are written in the same step as the change that they count (`core/redis/lua`), so each job
counts once, whatever dies, and all processes count together.
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

#: Upper bounds in seconds of the classes into which margins are counted; above the last: "inf".
MARGIN_BOUNDS: Final = (0, 5, 15, 30, 60, 120, 240, 360, 480, 600)
RESUBMITS: Final = "resubmits"
REGENERATIONS: Final = "regenerations"


def margin_counts(margin: float) -> dict[str, float]:
    """Return what is counted of an image that was stored `margin` seconds before its link's end."""
    bound = next((bound for bound in MARGIN_BOUNDS if margin <= bound), "inf")
    return {f"margin:{bound}": 1, "margin:sum": margin}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSnapshot:
    """One look at everything."""

    counters: Mapping[str, float]
    #: Lane -> jobs that wait in it.
    backlog: Mapping[str, int]
    #: Pool -> slots held, and allowed.
    slots: Mapping[str, tuple[int, int]]
    #: Pool -> seconds until it is granted slots again.
    pauses: Mapping[str, float]
    #: Pool -> slots that it is granted at most, now.
    ceilings: Mapping[str, int]
    #: Queue -> tasks that wait in it.
    tasks: Mapping[str, int]
    #: Due times that have passed, and the seconds since the oldest of them.
    overdue: int
    overdue_seconds: float
    dead_letters: int
    #: Breaker -> whether it is open, or half open.
    open_breakers: Mapping[str, bool]


def take_snapshot(store: JobStore, accounts: Sequence[Account]) -> MetricsSnapshot:
    """Take one look.

    Raises:
        StoreUnavailable: Redis is away.
    """
    read, now = store.read, store.now()
    served = pools(accounts)
    lanes = dict.fromkeys(lane["name"] for pool in served for lane in pool["lanes"])
    oldest = read("zrange", "due", 0, 0, withscores=True)
    names = [
        circuit_breakers.STORAGE,
        *(circuit_breakers.provider(pool["name"]) for pool in served),
    ]
    pauses = {pool["name"]: read_pause(store, pool["name"]) for pool in served}
    ceilings = {name: pause.ceiling for name, pause in pauses.items()}
    return MetricsSnapshot(
        counters={name: float(value) for name, value in read("hgetall", "counters").items()},
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
