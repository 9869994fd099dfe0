"""What `core.store` is asked to do to a job, as values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from core.job import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """A caller's key (hashed) and the fingerprint of what came with it."""

    key_hash: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to a job besides its status; all of it in one atomic step."""

    #: Fields that must have these values, or the change does not happen ("" for none).
    expect: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, str | int | float | None] = field(default_factory=dict)
    add: Mapping[str, int] = field(default_factory=dict)
    clear: Collection[str] = ()
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
