"""The collect step: copy a result into S3 before its URL dies."""

import json
import logging
import time
from collections.abc import Callable

from core.errors import Permanent, StorageUnavailable, StoreUnavailable, Transient
from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId
from core.jobs.status import Status, Step
from core.log import event
from core.operations.metrics import margin_counts
from core.redis.change import Change
from core.scheduling import circuit_breakers
from core.storage.s3_errors import RequestRefused
from worker.clients.download import LinkRefused, Result, ResultGone
from worker.deps import Deps
from worker.results import result_links
from worker.results.regeneration import regenerate
from worker.results.stored_image import StoredImage, find_image, put_image, put_manifest

_log = logging.getLogger(__name__)


def collect(job_id: JobId, deps: Deps) -> None:
    """Store the result of a job that is `storing`.

    1. Leave a job alone that is not: a twin was faster.
    2. Download, and check that it is one whole image. Where the link fails, the provider is asked
       for a better one (`worker.results.result_links`).
    3. Put it at the job's own key unless something is there; S3 verifies the checksum. What is
       there may be ours, from a run that died before 5: then it is taken for stored.
    4. Put the manifest beside it. 5. Record `succeeded`, which owes the callback.

    Raises:
        Transient: To be tried again, while the URL lives.
        Permanent: The job fails.
    """
    job = deps.store.begin(Step.COLLECT, job_id)
    if job is None or job.status is not Status.STORING:
        return
    try:
        _collect(job, deps)
    except StoreUnavailable:
        raise  # Redis says nothing of the image, which may be stored already
    except (Transient, ResultGone, LinkRefused) as error:
        if isinstance(error, RequestRefused) and job.request.output_key:
            # The deployment's own keys are for the operator to mend, but this one is the caller's.
            message = f"S3 does not take the key {job.request.output_key}: {error}"
            raise Permanent(FailureCode.STORAGE_FAILED, message) from error
        if deps.clock() >= (job.result_expires_at or 0):
            _give_up(job, error, deps)
        elif isinstance(error, ResultGone):
            # It should live: a slip of the storage must not cost an image that is paid for.
            raise Transient(f"the result's host answered {error} before the URL's end") from error
        elif isinstance(error, LinkRefused):
            raise Transient(str(error)) from error
        else:
            raise


def _collect(job: Job, deps: Deps) -> None:
    result = _fetched(job, deps)
    if result is None:
        return
    with result.file:
        stored = put_image(job, result, deps)
    _finish(job, stored, deps)


def _fetched(job: Job, deps: Deps) -> Result | None:
    """Download the result; None where the job has a better link now, with which it begins anew."""
    alive = _lease_keeper(job.id, deps)
    try:
        return deps.downloader.fetch(job.result_url or "", alive)
    except StoreUnavailable:
        raise
    except (Transient, ResultGone, LinkRefused) as error:
        lives = deps.clock() < (job.result_expires_at or 0)
        if lives and result_links.renew(job, error, deps, alive):
            return None
        raise


def _finish(job: Job, stored: StoredImage, deps: Deps) -> None:
    """Put the manifest beside a stored image, and record the success.

    Raises:
        StorageUnavailable: The manifest was not taken; until the deadline it is waited for.
    """
    image = {"bucket": deps.objects.bucket, **stored}
    try:
        put_manifest(job, image, deps)
    except StorageUnavailable as error:
        waits = not isinstance(error, RequestRefused)
        if waits and deps.clock() < max(job.request.deadline_at, job.result_expires_at or 0):
            raise
        # The image is there, which is what was promised.
        event(_log, "job.manifest_missing", logging.WARNING, job_id=job.id, reason=str(error))
    margin = (job.result_expires_at or 0) - deps.clock()
    change = Change(
        set={"image": json.dumps(image), "margin": round(margin, 3)},
        clear=["result_url", "storage_trouble"],
        count=margin_counts(margin),
        passed=[circuit_breakers.STORAGE],
    )
    moved = deps.store.move(job.id, Status.SUCCEEDED, change)
    event(
        _log,
        "job.collected",
        job_id=job.id,
        bytes=stored["bytes"],
        margin_seconds=margin,
        moved=moved,
    )


def _lease_keeper(job_id: JobId, deps: Deps) -> Callable[[], None]:
    """Return a function that renews the step's lease, when called often, three times per lease."""
    every = deps.settings.watch_seconds / 3
    last = time.monotonic()

    def alive() -> None:
        nonlocal last
        if time.monotonic() - last > every:
            deps.store.renew(Step.COLLECT, job_id)
            last = time.monotonic()

    return alive


def _give_up(job: Job, error: Exception, deps: Deps) -> None:
    """End a job whose result is out of reach, unless an earlier run stored its image."""
    try:
        stored = find_image(job, deps)
    except StorageUnavailable:
        if deps.clock() < job.request.deadline_at:
            raise  # nobody can say now; the bucket will
        stored = None
    if stored:
        _finish(job, stored, deps)
        return
    try:
        if result_links.renew(job, error, deps, _lease_keeper(job.id, deps)):
            return
    except LinkRefused as refused:
        error = refused
    # Where links lead to is for the operator to mend, and another one would lead there as well.
    if isinstance(error, LinkRefused) or not regenerate(job, error, deps):
        deps.store.fail(job.id, *result_links.reason(job, error))
