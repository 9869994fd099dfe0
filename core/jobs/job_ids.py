"""Ids of jobs: UUIDs of version 7, which begin with the time (RFC 9562 section 5.7)."""

from typing import Final

from uuid_utils import uuid7

from core.jobs.job import JobId

#: The latest time that an id can say, in milliseconds.
LATEST: Final = 2**48 - 1


def new_job_id(at: float | None = None) -> JobId:
    """Return a new id; within a process, later ones are greater.

    Args:
        at: The Unix time in seconds that it is to say; None: now.
    """
    made = str(uuid7())
    return JobId(made if at is None else prefix_at(round(at * 1000)) + made[13:])


def created_at_of(job_id: JobId) -> float:
    """Return the Unix time in seconds that an id says, to the millisecond.

    A job's `created_at` is this time, so that jobs of a period are a range of ids.
    """
    return int(job_id[:8] + job_id[9:13], 16) / 1000


def prefix_at(milliseconds: int) -> str:
    """Return what ids of this Unix time begin with; ids of later times are greater."""
    digits = f"{min(max(milliseconds, 0), LATEST):012x}"
    return f"{digits[:8]}-{digits[8:]}"
