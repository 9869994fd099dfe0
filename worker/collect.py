"""The collect step: copy a result into S3 before its URL dies."""

import json
import logging
import time
from collections.abc import Callable
from typing import Final

from core import breakers
from core.change import Change
from core.errors import Permanent, StorageUnavailable, StoreUnavailable, Transient
from core.figures import REGENERATIONS, margin_counts
from core.job import FailureCode, Job, JobId, Status, Step
from core.log import event
from core.s3_errors import RequestRefused
from worker.deps import Deps
from worker.download import LinkRefused, ResultGone
from worker.stored_image import StoredImage, find_image, put_image, put_manifest

_log = logging.getLogger(__name__)
#: Fields that say something of one task at the provider; the seed is kept for the next one.
_OF_ONE_TASK: Final = (
    *("posting_at", "posting_by", "provider_id", "polling_url", "cost"),
    *("unusable_since", "tries:unusable"),
    *("input_megapixels", "output_megapixels", "result_url", "result_expires_at"),
    "storage_trouble",
)


def collect(job_id: JobId, deps: Deps) -> None:
    """Store the result of a job that is `storing`.

    1. Leave a job alone that is not: a twin was faster.
    2. Download, and check that it is one whole image.
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
    except (Transient, ResultGone) as error:
        if isinstance(error, RequestRefused) and job.request.output_key:
            # The deployment's own keys are for the operator to mend, but this one is the caller's.
            message = f"S3 does not take the key {job.request.output_key}: {error}"
            raise Permanent(FailureCode.STORAGE_FAILED, message) from error
        if deps.clock() >= (job.result_expires_at or 0):
            _give_up(job, error, deps)
        elif isinstance(error, ResultGone):
            # It should live: a slip of the storage must not cost an image that is paid for.
            raise Transient(f"the result's host answered {error} before the URL's end") from error
        else:
            raise


def _collect(job: Job, deps: Deps) -> None:
    try:
        result = deps.downloader.fetch(job.result_url or "", _lease_keeper(job.id, deps))
    except LinkRefused as error:
        raise Permanent(FailureCode.PROVIDER_ERROR, str(error)) from error
    with result.file:
        stored = put_image(job, result, deps)
    _finish(job, stored, deps)


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
        passed=[breakers.STORAGE],
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
    if _regenerate(job, error, deps):
        return
    deps.store.fail(job.id, *_reason(job, error))


def _reason(job: Job, error: Exception) -> tuple[FailureCode, str]:
    """Say why the image was not stored: by the last try that its link was alive for."""
    trouble = str(error) if isinstance(error, StorageUnavailable) else job.storage_trouble
    late = "The image could not be stored before its URL died; the last try said: "
    if trouble:
        return FailureCode.STORAGE_FAILED, late + trouble
    if isinstance(error, ResultGone):
        message = f"The result's URL was dead before the image was stored (it answered {error})"
        return FailureCode.RESULT_EXPIRED, message
    return FailureCode.RESULT_EXPIRED, f"{late}{error}"


def _regenerate(job: Job, error: Exception, deps: Deps) -> bool:
    """Have the provider make the image anew, if the caller wants to pay for that; at most once."""
    wanted = job.request.regenerate and not job.regenerations
    if not wanted or deps.clock() >= job.request.deadline_at:
        return False
    change = Change(
        # What is said of the first task from now on must not be taken for word of the second.
        set={
            "expired_id": job.provider_id,
            "expired_url": job.result_url,
            "expired_cost": job.cost,
        },
        expect={"regenerations": ""},
        add={"regenerations": 1},
        count={REGENERATIONS: 1},
        clear=[*_OF_ONE_TASK, f"tries:{Step.COLLECT}"],
        due={Step.DEADLINE: job.request.deadline_at},
    )
    moved = deps.store.move(job.id, Status.QUEUED, change, was=[Status.STORING])
    event(
        _log,
        "job.regenerated",
        logging.WARNING,
        job_id=job.id,
        reason=str(error),
        cost=job.cost,
        moved=moved,
    )
    return True
