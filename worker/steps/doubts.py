"""Submits in doubt: the outcome is unknown, or the accepted task cannot be identified.

Every resubmit may be paid for, so there are few, and none after the provider accepted the job. Only
the webhook can resolve a doubt, because its path carries our job id. If no webhook was requested,
there is nothing to wait for.
"""

import logging
from collections.abc import Mapping
from typing import Final

from core.jobs.failures import FailureCode, error_record
from core.jobs.job import Job
from core.jobs.status import Status, Step
from core.log import event
from core.operations.metrics import RESUBMITS
from core.redis.change import Change
from worker.deps import Deps
from worker.steps.refusals import failing_breaker

_log = logging.getLogger(__name__)

_WORKER_DIED: Final = "the worker that posted the job died before it recorded the answer"
_LONGEST_REASON: Final = 500  # characters
#: After this many request timeouts, a request without images is certainly over.
_REQUEST_LIMITS: Final = 3
MAYBE_PAID: Final = (
    "It may have been made and paid for, so it is not submitted again automatically; "
    "you can send it again"
)


def has_webhook(job: Job, deps: Deps) -> bool:
    """Return whether the provider is asked for a webhook; without one the result is polled.

    A model that was removed from the models file in the meantime may have been asked for one.
    """
    model = deps.settings.models.get(job.request.model)
    return bool(deps.settings.public_url) and (model is None or model.webhook)


def record(job: Job, claim: str, reason: str, deps: Deps, *, taken: bool = False) -> None:
    """Record that a submit ended in doubt; if no webhook can resolve it, act at once.

    Args:
        job: The record as read before the post.
        claim: The claim of the run that posted it.
        reason: What happened, as text.
        deps: The step's dependencies.
        taken: The provider accepted the job, but its answer does not identify the task.
    """
    event(_log, "job.in_doubt", logging.WARNING, job_id=job.id, reason=reason, taken=taken)
    # The next job would probably fail the same way; another account may work.
    failed = {failing_breaker(job, deps): reason}
    if not has_webhook(job, deps):
        _end(job, claim, deps, failed=failed, taken=taken)
        return
    until = _doubt_ends_at(job, deps.clock(), deps)
    if not job.discarding:
        until = min(until, job.request.deadline_at)
    change = Change(
        expect={"posting_by": claim},
        set=_doubt_fields(reason, until) | ({"taken": 1} if taken else {}),
        due={Step.SUBMIT: until},
        failed=failed,
    )
    deps.store.change(job.id, {Status.SUBMITTING}, change)


def resolve(job: Job, posting_at: float, deps: Deps) -> None:
    """Keep waiting for the webhook of a submit in doubt, or end the doubt.

    A doubt that no worker recorded is waited out even without a webhook: the worker that posts the
    job may be alive. A deadline that passes meanwhile ends the job, but not the doubt: the slot is
    held until then, because the provider may have the task.
    """
    settled = _doubt_ends_at(job, posting_at, deps)
    until = job.doubt_until or min(settled, job.request.deadline_at)
    if job.discarding:  # the job's own deadline no longer matters
        until = max(until, settled)
    claim = job.posting_by or ""
    if deps.clock() < until:
        change = Change(
            expect={"posting_by": claim},
            set=_doubt_fields(job.doubt_reason or _WORKER_DIED, until),
            due={Step.SUBMIT: until},
        )
        deps.store.change(job.id, {Status.SUBMITTING}, change)
    else:
        _end(job, claim, deps, taken=job.taken, hold=deps.clock() < settled)


def _doubt_fields(reason: str, until: float) -> dict[str, str | int | float | None]:
    return {"doubt_reason": reason[:_LONGEST_REASON], "doubt_until": until}


def _doubt_ends_at(job: Job, since: float, deps: Deps) -> float:
    """Return when a doubt ends: later after each resubmit, but never after the task's deadline."""
    settings = deps.settings
    seconds = settings.submit_in_doubt_seconds
    if has_webhook(job, deps):
        seconds *= 2.0**job.resubmits
    elif not job.request.input_keys:
        seconds = min(seconds, _REQUEST_LIMITS * settings.provider_timeout_seconds)
    return min(since + seconds, deps.task_ends_at(job))


def _end(
    job: Job,
    claim: str,
    deps: Deps,
    *,
    taken: bool,
    failed: Mapping[str, str] | None = None,
    hold: bool = False,
) -> None:
    """Submit the job once more if that is allowed, otherwise fail it.

    Args:
        job: The job.
        claim: The claim of the run that posted it.
        deps: The step's dependencies.
        taken: Whether the provider accepted it.
        failed: Breakers that record a failure.
        hold: Whether the slot of a job that fails is held: the doubt is not over.
    """
    most = job.request.max_resubmits
    most = deps.settings.max_resubmits if most is None else most
    if job.request.model not in deps.settings.models:
        most = 0  # it cannot be posted again
    over = bool(job.discarding) or deps.clock() >= job.request.deadline_at
    if over or taken or job.resubmits >= most:
        change = Change(
            expect={"posting_by": claim},
            set={"error": _lost(job, taken=taken, hold=hold)},
            failed=failed or {},
            hold=hold,
        )
        deps.store.move(job.id, Status.FAILED, change, was=[Status.SUBMITTING])
        return
    event(_log, "job.resubmitted", logging.WARNING, job_id=job.id, resubmits=job.resubmits + 1)
    # Through the backlog, where it comes first: a failing provider is not called again yet.
    change = Change(
        expect={"posting_by": claim},
        clear=["posting_at", "posting_by"],
        add={"resubmits": 1},
        count={RESUBMITS: 1},
        failed=failed or {},
    )
    deps.store.move(job.id, Status.QUEUED, change, was=[Status.SUBMITTING])


def _lost(job: Job, *, taken: bool, hold: bool) -> str:
    """Return the error of a job whose submit nobody answered in time."""
    if hold and not job.doubt_reason:  # the submit may be under way, and nothing is wrong with it
        message = "The job's deadline passed while it was submitted"
        return error_record(FailureCode.TIMED_OUT, f"{message}. {MAYBE_PAID}")
    said = "accepted the job in an answer without a task id, and no webhook came"
    said = said if taken else "never said whether it took the job"
    return error_record(FailureCode.LOST, f"The provider {said}. {MAYBE_PAID}")
