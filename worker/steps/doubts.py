"""Submits whose outcome is unknown, or whose task nobody can name: what they wait for, and end in.

Each repetition may be paid for, so there are few of them, and none after the provider said yes.
Only the webhook can settle a doubt, for its path carries our job id. Where none was asked for,
nothing is waited for.
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
from core.scheduling import circuit_breakers
from worker.deps import Deps

_log = logging.getLogger(__name__)

_UNHEARD: Final = "the worker that posted the job went away before it noted the answer"
_LONGEST_REASON: Final = 500  # characters
#: So many times the time limit of a request, one without images is certainly over.
_REQUEST_LIMITS: Final = 3
MAYBE_PAID: Final = (
    "It may have been made and paid for, so it is not submitted again automatically; "
    "you can send it again"
)


def has_webhook(job: Job, deps: Deps) -> bool:
    """Say whether the provider is asked for a webhook; without one the result is polled.

    A model that was taken out of the models file meanwhile may have been asked for one.
    """
    model = deps.settings.models.get(job.request.model)
    return bool(deps.settings.public_url) and (model is None or model.webhook)


def note(job: Job, claim: str, reason: str, deps: Deps, *, taken: bool = False) -> None:
    """Write down that a submit ended in doubt; where no webhook can settle it, act at once.

    Args:
        job: As it was read before it was posted.
        claim: Of the run that posted it.
        reason: What was heard, in words.
        deps: What to work with.
        taken: The provider said yes, and nothing that names the task.
    """
    event(_log, "job.in_doubt", logging.WARNING, job_id=job.id, reason=reason, taken=taken)
    # What befell this job would befall the next one; another account may be better off.
    failed = {circuit_breakers.provider(job.pool): reason}
    if not has_webhook(job, deps):
        _end(job, claim, deps, failed=failed, taken=taken)
        return
    until = _until(job, deps.clock(), deps)
    change = Change(
        expect={"posting_by": claim},
        set=_shown(reason, until) | ({"taken": 1} if taken else {}),
        due={Step.SUBMIT: until},
        failed=failed,
    )
    deps.store.change(job.id, {Status.SUBMITTING}, change)


def settle(job: Job, posting_at: float, deps: Deps) -> None:
    """Wait on for the webhook of a submit in doubt, or end the doubt.

    One that nobody noted is waited for without a webhook too: whoever posts it may be alive.
    """
    until = job.doubt_until or _until(job, posting_at, deps)
    claim = job.posting_by or ""
    if deps.clock() < until:
        change = Change(
            expect={"posting_by": claim},
            set=_shown(job.doubt_reason or _UNHEARD, until),
            due={Step.SUBMIT: until},
        )
        deps.store.change(job.id, {Status.SUBMITTING}, change)
    else:
        _end(job, claim, deps, taken=job.taken)


def _shown(reason: str, until: float) -> dict[str, str | int | float | None]:
    return {"doubt_reason": reason[:_LONGEST_REASON], "doubt_until": until}


def _until(job: Job, since: float, deps: Deps) -> float:
    """Return when a doubt is over: later each time, but never after the job's deadline."""
    settings = deps.settings
    seconds = settings.submit_in_doubt_seconds
    if has_webhook(job, deps):
        seconds *= 2.0**job.resubmits
    elif not job.request.input_keys:
        seconds = min(seconds, _REQUEST_LIMITS * settings.provider_timeout_seconds)
    return min(since + seconds, job.request.deadline_at)


def _end(
    job: Job, claim: str, deps: Deps, *, taken: bool, failed: Mapping[str, str] | None = None
) -> None:
    """Submit the job once more, if that may be, else give it up."""
    most = job.request.max_resubmits
    most = deps.settings.max_resubmits if most is None else most
    if job.request.model not in deps.settings.models:
        most = 0  # it cannot be posted again
    if taken or job.resubmits >= most or deps.clock() >= job.request.deadline_at:
        said = "accepted the job in an answer that names no task, and no webhook told of it"
        said = said if taken else "never said whether it took the job"
        error = error_record(FailureCode.LOST, f"The provider {said}. {MAYBE_PAID}")
        change = Change(expect={"posting_by": claim}, set={"error": error}, failed=failed or {})
        deps.store.move(job.id, Status.FAILED, change, was=[Status.SUBMITTING])
        return
    event(_log, "job.resubmitted", logging.WARNING, job_id=job.id, resubmits=job.resubmits + 1)
    # By way of the backlog, where it is the first: a provider in trouble is not asked again yet.
    change = Change(
        expect={"posting_by": claim},
        clear=["posting_at", "posting_by"],
        add={"resubmits": 1},
        count={RESUBMITS: 1},
        failed=failed or {},
    )
    deps.store.move(job.id, Status.QUEUED, change, was=[Status.SUBMITTING])
