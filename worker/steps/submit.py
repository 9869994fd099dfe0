"""The submit step: posts a job to the provider, once.

The order of writes guarantees that. `posting_at` is on disk before the request is sent, so a worker
that dies at any line leaves a record that says whether the provider may have the job. If it may,
the job is in doubt (`worker.steps.doubts`).
"""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.errors import Permanent, Transient
from core.jobs.failures import FailureCode, error_record
from core.jobs.job import Job, JobId
from core.jobs.status import Status, Step
from core.log import event
from core.redis.change import Change
from core.security.signatures import webhook_secret
from core.storage.object_store import gone
from worker.clients.submit_body import Source
from worker.clients.submit_outcomes import (
    Accepted,
    AcceptedWithoutId,
    InDoubt,
    Rejected,
)
from worker.deps import Deps
from worker.steps import doubts
from worker.steps.poll_times import first_wait
from worker.steps.refusals import answering_breakers, consequence

_log = logging.getLogger(__name__)


def submit(job_id: JobId, deps: Deps) -> None:
    """Post the job if it holds a slot.

    1. Return if the job is not `submitting`: another run, or the webhook, was faster.
    2. If an earlier run began to post it, the job is in doubt: handle that instead.
    3. Check that its images exist.
    4. Record `posting_at`, durably and by compare-and-set; if another run was first, return.
    5. Post the job.
    6. Record the outcome.

    A worker that dies before 4 leaves a job that can simply be submitted again. One that dies
    between 4 and 6 leaves the job in doubt.

    Raises:
        Transient: An image cannot be read now; nothing was posted.
        Permanent: An image is missing; nothing was posted.
    """
    job = deps.store.begin(Step.SUBMIT, job_id)
    if job is None or job.task_status is not Status.SUBMITTING:
        return
    if job.posting_at is not None:
        doubts.resolve(job, job.posting_at, deps)
    elif deps.clock() >= job.request.deadline_at:
        message = "The job's deadline passed before it could be submitted"
        deps.store.fail(job.id, FailureCode.TIMED_OUT, message, was=[Status.SUBMITTING])
    elif job.request.model not in deps.settings.models:
        _fail_unknown_model(job, deps)
    elif job.pool not in deps.providers:
        pause = (job.pool or "", deps.wait(0), "the account is not configured here")
        _return_slot(job, "", deps, Change(pause=pause), pause[2])
    else:
        images = {name: _source(key, deps) for name, key in job.request.input_keys.items()}
        claim = uuid.uuid4().hex
        if _claim(job, claim, deps):
            _post(job, claim, images, deps)


def _fail_unknown_model(job: Job, deps: Deps) -> None:
    """Fail a job whose model was removed from the models file after it was accepted."""
    code = FailureCode.PROVIDER_REJECTED
    message = f"This deployment no longer has the model {job.request.model}"
    if job.resubmits:  # an earlier submit may have been accepted
        code, message = FailureCode.LOST, f"{message}. {doubts.MAYBE_PAID}"
    deps.store.fail(job.id, code, message, was=[Status.SUBMITTING])


def _claim(job: Job, claim: str, deps: Deps) -> bool:
    """Record `posting_at`; True for the one run that may post."""
    change = Change(
        # As it was read: if a slot was granted anew, it may be another account's.
        expect={
            "posting_at": "",
            "pool": job.pool or "",
            "submits": str(job.submits) if job.submits else "",
        },
        set={"posting_at": deps.clock(), "posting_by": claim},
        add={"submits": 1},
    )
    return deps.store.change(job.id, {Status.SUBMITTING}, change, durable=True)


def _unclaim(job: Job, claim: str, deps: Deps) -> None:
    """Clear `posting_at`: the request was cut off, so the provider cannot have accepted it."""
    change = Change(expect={"posting_by": claim}, clear=["posting_at", "posting_by"])
    deps.store.change(job.id, {Status.SUBMITTING}, change)


def _source(key: str, deps: Deps) -> Source:
    there = deps.objects.head(key)
    if there is None:
        raise gone(key)
    return Source(there.size, lambda: deps.objects.chunks(key))


def _body(job: Job, deps: Deps) -> dict[str, Any]:
    """Return what is sent besides images: the caller's parameters, and our webhook if allowed."""
    body = dict(job.request.input)
    if job.regenerations and job.seed is not None and _takes_seed(job, deps):
        body["seed"] = job.seed  # to make the same picture again
    if doubts.has_webhook(job, deps):
        body["webhook_url"] = f"{deps.settings.public_url}/webhooks/bfl/{job.id}"
        body["webhook_secret"] = webhook_secret(deps.settings.webhook_secrets[0].reveal(), job.id)
    return body


def _takes_seed(job: Job, deps: Deps) -> bool:
    return "seed" in deps.settings.models[job.request.model].parameters


def _post(job: Job, claim: str, images: Mapping[str, Source], deps: Deps) -> None:
    path = deps.settings.models[job.request.model].path
    try:
        outcome = deps.provider(job).submit(path, _body(job, deps), images)
    except (Transient, Permanent):
        _unclaim(job, claim, deps)
        raise
    event(_log, "job.submitted", job_id=job.id, outcome=type(outcome).__name__)
    match outcome:
        case Accepted():
            _record(job, outcome, deps)
        case Rejected(code, message):
            change = Change(
                set={"error": error_record(code, message)},
                expect={"posting_by": claim},
                passed=answering_breakers(job, deps),
                clear=["posting_at", "posting_by"],  # there is no task of it
            )
            deps.store.move(job.id, Status.FAILED, change, was=[Status.SUBMITTING])
        case InDoubt(message):
            doubts.record(job, claim, message, deps)
        case AcceptedWithoutId(message):
            doubts.record(job, claim, message, deps, taken=True)
        case _:
            _return_slot(job, claim, deps, *consequence(job, outcome, deps))


def _record(job: Job, outcome: Accepted, deps: Deps) -> None:
    submission = outcome.submission
    known = {
        "provider_id": submission.provider_id,
        "cost": submission.cost,
        "input_megapixels": submission.input_megapixels,
        "output_megapixels": submission.output_megapixels,
    }
    # A late answer about an abandoned task must not bring it back.
    given_up = {"expired_id": submission.provider_id} if submission.provider_id else {}
    moved = deps.store.move(
        job.id,
        Status.GENERATING,
        Change(
            set=known | {"polling_url": submission.polling_url},
            unless=given_up,
            due={Step.POLL: deps.clock() + first_wait(job, deps)},
            passed=answering_breakers(job, deps),
        ),
    )
    if not moved:  # the webhook was faster; record what it did not say
        more = known | {"polling_url": submission.polling_url}
        change = Change(set=more, unless=given_up, passed=answering_breakers(job, deps))
        deps.store.change(job.id, list(Status), change)


def _return_slot(job: Job, claim: str, deps: Deps, change: Change, reason: str) -> None:
    """Return the slot; the job goes back to the front of the backlog, because of its age.

    Only the run that holds the claim may do so: a late run must not undo a newer submit.
    """
    event(_log, "job.given_back", logging.WARNING, job_id=job.id, pool=job.pool, reason=reason)
    back = replace(
        change,
        expect={"posting_by": claim},
        clear=["posting_at", "posting_by"],
        add={f"tries:{Step.SUBMIT}": 1},
    )
    # Not from `storing`: the webhook of an earlier submit may have arrived.
    deps.store.move(job.id, Status.QUEUED, back, was=[Status.SUBMITTING])
