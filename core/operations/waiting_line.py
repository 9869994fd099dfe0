"""Where a queued job stands in its line, and when it may start.

The scripts measure the pace of each lane (`core/redis/lua/prelude.lua`): the average of the seconds
between two grants of a slot while jobs waited.
"""

from dataclasses import dataclass

from core.jobs.job import JobId
from core.redis.transitions import ScriptCall, Transition, Transitions


@dataclass(frozen=True, slots=True)
class Place:
    """A place in line."""

    #: Jobs ahead in the same lane.
    position: int
    #: Unix time in seconds; None if no pace was measured yet.
    starts_at: float | None


def prepare_place(transitions: Transitions, job_id: JobId) -> Transition[Place | None]:
    """Prepare to read where a job stands in line; None if it does not wait (any more)."""
    found = yield ScriptCall("place", transitions.payload() | {"job": job_id})
    if not found:
        return None
    position, pace = int(found[0]), str(found[1])
    return Place(position, _starts_at(position, pace, transitions.now()))


def _starts_at(position: int, pace: str, now: float) -> float | None:
    """Return when the job at a position may start, by the pace as the scripts record it."""
    last, seconds, count = (float(part) for part in (pace or "0 0 0").split())
    if not count:
        return None
    # A line that stands still moves at its usual pace once it moves again.
    return max(last, now - seconds) + (position + 1) * seconds
