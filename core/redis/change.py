"""Value types for changing jobs through `core.redis.store`."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from core.jobs.job import Job, JobId
from core.jobs.status import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """A caller's idempotency key (hashed) and the fingerprint of the request body."""

    key_hash: str
    fingerprint: str


class Stored(NamedTuple):
    """A job that is on disk, with its state at that moment; `job` is None if it is gone."""

    id: JobId
    job: Job | None


class Cap(NamedTuple):
    """Fewer slots for the models of one limit, for a while."""

    pool: str
    #: The model after which the limit is named.
    limit: str
    seconds: float
    #: Most slots; None: one below those held now.
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to a job besides its status, in one atomic step."""

    #: Preconditions: fields that must have these values ("" for absent).
    expect: Mapping[str, str] = field(default_factory=dict)
    #: Preconditions: fields that must not have these values ("" for absent).
    unless: Mapping[str, str] = field(default_factory=dict)
    #: Precondition: the provider's task that this change is about may be the job's. It is not if
    #: the job has another one, unless a repeated submit may have made two.
    task: str | None = None
    set: Mapping[str, str | int | float | None] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    clear: Collection[str] = ()
    #: Unix time at which the result was made, if its link does not say when it expires. The link
    #: then lives as long as those of the job's model, if the record says how long (`link_seconds`).
    made_at: float | None = None
    #: Of a move that ends the job: if the provider has its task, or may have it, hold the slot
    #: until the task ends as well, and discard what it makes (`Job.discarding`).
    hold: bool = False
    #: Counter -> increment (`core.operations.metrics`), applied if the change happens.
    count: Mapping[str, float] = field(default_factory=dict)
    #: Steps to start now.
    wake: Collection[Step] = ()
    #: Step -> Unix time at which it is to start.
    due: Mapping[Step, float] = field(default_factory=dict)
    #: Steps that are done; their leases end.
    done: Collection[Step] = ()
    #: (pool, seconds, reason): the pool grants no slots for that long.
    pause: tuple[str, float, str] | None = None
    #: (pool, Unix time, reason): the provider refuses the account; check it again then.
    refuse: tuple[str, float, str] | None = None
    #: (pool, seconds): cap the pool at one slot below those held now, for that long.
    shrink: tuple[str, float] | None = None
    #: The same for the models of one limit alone.
    cap: Cap | None = None
    #: Breaker -> reason: circuit breakers that record a failure
    #: (`core.scheduling.circuit_breakers`).
    failed: Mapping[str, str] = field(default_factory=dict)
    #: An attempt at the callback, as `core.operations.callbacks.attempts` lists it.
    attempt: Mapping[str, str] = field(default_factory=dict)
    #: Circuit breakers that record a success.
    passed: Collection[str] = ()

    def payload(self) -> dict[str, Any]:
        """Return the change as `core/redis/lua/transition.lua` reads it."""
        payload: dict[str, Any] = {
            "expect": dict(self.expect),
            "unless": dict(self.unless),
            # As text: Lua numbers have 53 bits, and a seed may need more.
            "task": self.task,
            "set": {k: str(v) for k, v in self.set.items() if v is not None},
            "add": dict(self.add),
            "count": dict(self.count),
            "clear": list(self.clear),
            "wake": list(self.wake),
            "due": dict(self.due),
            "done": list(self.done),
            "failed": dict(self.failed),
            "passed": list(self.passed),
        }
        if self.attempt:
            payload["attempt"] = dict(self.attempt)
        if self.hold:
            payload["hold"] = True
        if self.made_at is not None:
            payload["made_at"] = self.made_at
        if self.pause:
            pool, seconds, reason = self.pause
            payload["pause"] = {"pool": pool, "ms": _milliseconds(seconds), "reason": reason}
        if self.refuse:
            pool, at, reason = self.refuse
            payload["refuse"] = {"pool": pool, "check_at": at, "reason": reason}
        if self.shrink:
            pool, seconds = self.shrink
            payload["shrink"] = {"pool": pool, "ms": _milliseconds(seconds)}
        if self.cap:
            pool, limit, seconds, most = self.cap
            payload["cap"] = {"pool": pool, "limit": limit, "ms": _milliseconds(seconds)}
            payload["cap"] |= {} if most is None else {"most": most}
        return payload


def _milliseconds(seconds: float) -> int:
    """Convert to milliseconds, rounded up: Redis rejects an expiry of 0 mid-script."""
    return math.ceil(seconds * 1000)
