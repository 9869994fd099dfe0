"""The submit step: post a job to the provider, exactly once.

The order is the promise. "Posting since" is on disk before the request leaves; so a worker that
dies, at whatever line, leaves a record that says whether the provider may have the job. Where it
may, the job is in doubt: its webhook (whose path carries our job id) settles it, and only after a
long silence it is posted again, which is counted.
"""

import base64
import logging
import uuid
from typing import Any

from core.catalogue import MODELS
from core.change import Change
from core.job import FailureCode, Job, JobId, Status, Step
from core.log import event
from core.signatures import webhook_secret
from worker.deps import Deps
from worker.outcomes import Accepted, AccountRefused, Busy, InDoubt, NotSent, Rejected

_log = logging.getLogger(__name__)


def submit(job_id: JobId, deps: Deps) -> None:
    """Post the job, if it is its turn.

    1. Leave a job alone that is not `submitting`: a twin, or its webhook, was faster.
    2. One that somebody began to post before is in doubt: settle that instead.
    3. Write "posting since", durably and only if nobody did; the loser of that race leaves.
    4. Post. 5. Record what came of it.

    Dying before 3 costs nothing; dying between 3 and 5 leaves the job in doubt.
    """
    job = deps.store.begin(Step.SUBMIT, job_id)
    if job is None or job.status is not Status.SUBMITTING:
        return
    if job.posting_at is not None:
        _settle_doubt(job, job.posting_at, deps)
    elif deps.clock() >= job.request.deadline_at:
        message = "The job's deadline passed before it could be submitted"
        deps.store.fail(job.id, FailureCode.TIMED_OUT, message, was=[Status.SUBMITTING])
    else:
        body = _body(job, deps)
        if _claim(job, deps):
            _post(job, body, deps)


def _claim(job: Job, deps: Deps) -> bool:
    """Write "posting since"; True for the only one that may post."""
    change = Change(
        expect={"posting_at": ""},
        set={"posting_at": deps.clock(), "posting_by": uuid.uuid4().hex},
        add={"submits": 1},
    )
    return deps.store.change(job.id, {Status.SUBMITTING}, change, durable=True)


def _body(job: Job, deps: Deps) -> dict[str, Any]:
    """Return what is sent: the caller's parameters, inputs from S3, and our webhook."""
    body = dict(job.request.input)
    for name, key in job.request.input_keys.items():
        body[name] = base64.b64encode(deps.objects.get(key)).decode()
    if deps.settings.public_url:
        body["webhook_url"] = f"{deps.settings.public_url}/webhooks/bfl/{job.id}"
        body["webhook_secret"] = webhook_secret(deps.settings.webhook_secrets[0].reveal(), job.id)
    return body


def _post(job: Job, body: dict[str, Any], deps: Deps) -> None:
    outcome = deps.provider(job).submit(MODELS[job.request.model].path, body)
    event(_log, "job.submitted", job_id=job.id, outcome=type(outcome).__name__)
    match outcome:
        case Accepted():
            _record(job, outcome, deps)
        case Rejected(code, message):
            deps.store.fail(job.id, code, message, was=[Status.SUBMITTING])
        case Busy(retry_after):
            pause = retry_after or deps.settings.pool_pause_seconds
            _give_back(job, deps, Change(shrink=(job.pool or "", pause)), "429")
        case AccountRefused(reason):
            event(_log, "account.refused", logging.ERROR, account=job.pool, reason=reason)
            check_at = deps.clock() + deps.settings.pool_pause_seconds
            _give_back(job, deps, Change(refuse=(job.pool or "", check_at, reason)), reason)
        case NotSent(message):
            # The provider is away for every job, so all of them wait, in the backlog.
            pause = deps.wait(job.tries.get(Step.SUBMIT, 0))
            _give_back(job, deps, Change(pause=(job.pool or "", pause, message)), message)
        case InDoubt(message):
            _doubt(job, message, deps)


def _record(job: Job, outcome: Accepted, deps: Deps) -> None:
    submission = outcome.submission
    settings = deps.settings
    wait = (
        settings.webhook_overdue_seconds if settings.public_url else settings.poll_interval_seconds
    )
    known = {
        "provider_id": submission.provider_id,
        "cost": submission.cost,
        "input_megapixels": submission.input_megapixels,
        "output_megapixels": submission.output_megapixels,
    }
    moved = deps.store.move(
        job.id,
        Status.GENERATING,
        Change(
            set=known | {"polling_url": submission.polling_url},
            due={Step.POLL: deps.clock() + wait},
        ),
    )
    if not moved:  # the webhook was faster; what it did not say is noted
        deps.store.change(job.id, list(Status), Change(set=known))


def _give_back(job: Job, deps: Deps, change: Change, reason: str) -> None:
    """Return the slot; the job keeps its place, which by its age is the front of the backlog."""
    event(_log, "job.given_back", logging.WARNING, job_id=job.id, pool=job.pool, reason=reason)
    back = Change(
        clear=["posting_at", "posting_by"],
        add={f"tries:{Step.SUBMIT}": 1},
        pause=change.pause,
        refuse=change.refuse,
        shrink=change.shrink,
    )
    deps.store.move(job.id, Status.QUEUED, back)


def _doubt(job: Job, message: str, deps: Deps) -> None:
    event(_log, "job.in_doubt", logging.WARNING, job_id=job.id, reason=message)
    at = deps.clock() + _doubt_seconds(job, deps)
    # What befell this job would befall the next one; another account may be better off.
    pause = (job.pool or "", deps.wait(job.submits), message)
    deps.store.change(job.id, {Status.SUBMITTING}, Change(due={Step.SUBMIT: at}, pause=pause))


def _settle_doubt(job: Job, posting_at: float, deps: Deps) -> None:
    """Wait for the webhook of a submit whose outcome is unknown, then submit once more."""
    over_at = posting_at + _doubt_seconds(job, deps)
    if deps.clock() < over_at:
        deps.store.change(job.id, {Status.SUBMITTING}, Change(due={Step.SUBMIT: over_at}))
    elif deps.clock() >= job.request.deadline_at:
        message = "The provider never said whether it took the job"
        deps.store.fail(job.id, FailureCode.LOST, message, was=[Status.SUBMITTING])
    else:
        event(_log, "job.resubmitted", logging.WARNING, job_id=job.id, resubmits=job.resubmits + 1)
        change = Change(
            expect={"posting_by": job.posting_by or ""},
            clear=["posting_at", "posting_by"],
            add={"resubmits": 1},
            wake=[Step.SUBMIT],
        )
        deps.store.change(job.id, {Status.SUBMITTING}, change)


def _doubt_seconds(job: Job, deps: Deps) -> float:
    """Return how long a doubt lasts: longer each time, for each repetition may be paid for."""
    return deps.settings.submit_in_doubt_seconds * 2.0**job.resubmits
