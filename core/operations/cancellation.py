"""Cancels jobs: one at once, for its caller; its task at the provider ends later.

The provider cannot cancel a task. A job that was posted keeps its slot until its task has ended;
what the task makes is discarded, and its cost recorded (`Job.discarding`). A job that was not
posted costs nothing, and its slot is free at once.
"""

import logging
from enum import StrEnum

from core.jobs.job import JobId
from core.jobs.status import TERMINAL
from core.log import event
from core.redis.store import JobStore
from core.redis.transitions import Transition, Transitions

_log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What a cancel found."""

    CANCELED = "canceled"  # this call canceled the job
    ENDED = "ended"  # it had ended before, canceled or otherwise; nothing changed
    STORING = "storing"  # too late: its result is being stored; nothing changed
    GONE = "gone"  # there is no such job (any more)


def cancel(store: JobStore, job_id: JobId) -> Outcome:
    """Cancel a job, blocking; on return its end is on disk. Safe to repeat.

    Raises:
        StoreUnavailable: The outcome is unknown; cancel it again.
    """
    return store.execute(prepare_cancel(store, job_id))


def prepare_cancel(transitions: Transitions, job_id: JobId) -> Transition[Outcome]:
    """Prepare the cancel of a job, for a caller that awaits it; see `cancel`."""
    by_this_call, status = yield from transitions.prepare_cancel(job_id)
    if by_this_call:
        event(_log, "job.canceled", job_id=job_id)
        return Outcome.CANCELED
    if status is None:
        return Outcome.GONE
    return Outcome.ENDED if status in TERMINAL else Outcome.STORING
