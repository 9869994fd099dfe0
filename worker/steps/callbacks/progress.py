"""The progress step: tells the caller that a job is generating, if it asked for that."""

import logging
from typing import Final

from core.jobs.callback_events import CallbackEvent
from core.jobs.job import Job, JobId
from core.jobs.status import STEP_STATUSES, Status, Step
from core.jobs.views import job_view
from core.log import event
from core.redis.change import Change
from worker.clients.backoff import backoff
from worker.clients.receiver import Receiver
from worker.deps import Deps
from worker.steps.callbacks.attempt import (
    LONGEST_WAIT,
    Message,
    attempt_if_allowed,
    attempt_record,
    requested_pause,
    signed_message,
)

_log = logging.getLogger(__name__)

_STATUSES: Final = STEP_STATUSES[Step.PROGRESS]


def progress(job_id: JobId, deps: Deps) -> None:
    """Make one attempt to tell that a job is generating.

    It is tried again until the receiver takes it or the job ends: the news is then old, and the
    end has a callback of its own. A worker that dies in between makes it come twice, with the same
    `webhook-id`.
    """
    job = deps.store.begin(Step.PROGRESS, job_id)
    if job is None or job.status not in _STATUSES:
        # If it is generating once more since the record was read, there is news to tell.
        old = frozenset(Status) - _STATUSES
        deps.store.change(job_id, old, Change(done=[Step.PROGRESS]))
        return
    receiver = Receiver(job.request.tenant, job.request.callback_url or "")
    now = deps.clock()
    delivery, wait = attempt_if_allowed(
        receiver, lambda: _message(job, deps), deps, about=job.id, is_first=True
    )
    tries = job.tries.get(Step.PROGRESS, 0)
    if not delivery.attempted:
        later = max(wait, _backoff(tries, deps))
        deps.store.change(job.id, _STATUSES, Change(due={Step.PROGRESS: now + later}))
        return
    event(
        _log,
        "callback.attempted",
        job_id=job.id,
        attempt=tries + 1,
        status=delivery.status,
        error=delivery.error,
    )
    record = attempt_record(CallbackEvent.JOB_GENERATING, delivery, now)
    change = Change(done=[Step.PROGRESS], attempt=record)
    if not delivery.final:
        pause = max(_backoff(tries, deps), requested_pause(delivery, deps))
        due = {Step.PROGRESS: deps.clock() + pause}
        change = Change(due=due, add={f"tries:{Step.PROGRESS}": 1}, attempt=record)
    deps.store.change(job.id, frozenset(Status), change)


def _message(job: Job, deps: Deps) -> Message:
    began = [at for status, at in job.timeline if status is Status.GENERATING]
    return signed_message(
        CallbackEvent.JOB_GENERATING,
        job_view(job),
        f"msg_{job.id}_generating",
        job.request.tenant,
        deps,
        at=began[-1],
    )


def _backoff(tries: int, deps: Deps) -> float:
    base = deps.settings.callback_retry_base_seconds
    return backoff(tries, base=base, longest=LONGEST_WAIT, rng=deps.rng)
