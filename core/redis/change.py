"""What `core.redis.store` is asked to do to a job, and how it answers, as values."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from core.jobs.job import Job, JobId, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """A caller's key (hashed) and the fingerprint of what came with it."""

    key_hash: str
    fingerprint: str


class Stored(NamedTuple):
    """A job that is on disk, and how it stood at that moment; None where it is gone already."""

    id: JobId
    job: Job | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to a job besides its status; all of it in one atomic step."""

    #: Fields that must have these values, or the change does not happen ("" for none).
    expect: Mapping[str, str] = field(default_factory=dict)
    #: Fields that must not have these values ("" for none).
    unless: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, str | int | float | None] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    clear: Collection[str] = ()
    #: Counter -> by how much it goes up (`core.operations.metrics`), if the change happens.
    count: Mapping[str, float] = field(default_factory=dict)
    #: Steps to start now.
    wake: Collection[Step] = ()
    #: Step -> Unix time at which it is to start.
    due: Mapping[Step, float] = field(default_factory=dict)
    #: Steps that are done: their lease ends.
    done: Collection[Step] = ()
    #: (pool, seconds, reason): the pool grants nothing for so long.
    pause: tuple[str, float, str] | None = None
    #: (pool, Unix time, reason): the provider refuses the account; to be looked at again then.
    refuse: tuple[str, float, str] | None = None
    #: (pool, seconds): the pool has one slot less than it holds now, maybe none, for so long.
    shrink: tuple[str, float] | None = None
    #: Breaker -> why: what was tried there failed (`core.scheduling.circuit_breakers`).
    failed: Mapping[str, str] = field(default_factory=dict)
    #: Breakers of what went well.
    passed: Collection[str] = ()

    def payload(self) -> dict[str, Any]:
        """Return it as `core/redis/lua/transition.lua` reads it."""
        payload: dict[str, Any] = {
            "expect": dict(self.expect),
            "unless": dict(self.unless),
            # As text: Lua's numbers have 53 bits, fewer than a seed may have.
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
        if self.pause:
            pool, seconds, reason = self.pause
            payload["pause"] = {"pool": pool, "ms": _milliseconds(seconds), "reason": reason}
        if self.refuse:
            pool, at, reason = self.refuse
            payload["refuse"] = {"pool": pool, "check_at": at, "reason": reason}
        if self.shrink:
            pool, seconds = self.shrink
            payload["shrink"] = {"pool": pool, "ms": _milliseconds(seconds)}
        return payload


def _milliseconds(seconds: float) -> int:
    """Round up: Redis refuses an expiry of 0, in the middle of a script."""
    return math.ceil(seconds * 1000)
