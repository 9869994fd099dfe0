"""The collect step: copy a result into S3 before its URL dies."""

import io
import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from core import breakers
from core.change import Change
from core.errors import Permanent, StorageUnavailable, StoreUnavailable, Transient
from core.figures import REGENERATIONS, margin_counts
from core.job import FailureCode, Job, JobId, Status, Step
from core.log import event
from core.object_store import StoredObject
from worker.deps import Deps
from worker.download import CONTENT_TYPES, Result, ResultGone

_log = logging.getLogger(__name__)
#: Fields that say something of one task at the provider; the seed is kept for the next one.
_OF_ONE_TASK: Final = (
    *("posting_at", "posting_by", "provider_id", "polling_url", "cost"),
    *("input_megapixels", "output_megapixels", "result_url", "result_expires_at"),
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
        if deps.clock() >= (job.result_expires_at or 0):
            _give_up(job, error, deps)
        elif isinstance(error, ResultGone):
            # It should live: a slip of the storage must not cost an image that is paid for.
            raise Transient(f"the result's host answered {error} before the URL's end") from error
        else:
            raise


def _collect(job: Job, deps: Deps) -> None:
    result = deps.downloader.fetch(job.result_url or "", _lease_keeper(job.id, deps))
    with result.file:
        key = object_key(job, result.extension, deps)
        digest, size = _put(job, key, result, deps)
    _finish(
        job,
        deps,
        key=key,
        bytes=size,
        sha256=digest,
        content_type=result.content_type,
        width=result.width,
        height=result.height,
    )


def _finish(job: Job, deps: Deps, **stored: str | int) -> None:
    """Put the manifest beside a stored image, and record the success."""
    image = {"bucket": deps.objects.bucket, **stored}
    _put_manifest(job, f"{stored['key']}.json", image, deps)
    margin = (job.result_expires_at or 0) - deps.clock()
    change = Change(
        set={"image": json.dumps(image), "margin": round(margin, 3)},
        clear=["result_url"],
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


def _put(job: Job, key: str, result: Result, deps: Deps) -> tuple[str, int]:
    """Store the image once; return the SHA-256 (hex) and size of what lies there."""
    metadata = {
        "job-id": job.id,
        "model": job.request.model,
        "width": str(result.width),
        "height": str(result.height),
    }
    if job.seed is not None:
        metadata["seed"] = str(job.seed)
    fresh = deps.objects.put_once(
        key,
        result.file,
        sha256=result.sha256,
        content_type=result.content_type,
        metadata=metadata,
    )
    if fresh:
        return result.sha256.hex(), result.size
    there = deps.objects.look(key)
    if there is None:
        raise Transient("the object at the job's key came and went")
    if not _is_ours(job, there):
        message = f"The key {key} holds an object of somebody else; it was left as it is"
        raise Permanent(FailureCode.STORAGE_FAILED, message)
    return there.sha256, there.size


def _take_stored(job: Job, deps: Deps) -> bool:
    """Finish a job whose image an earlier run put into the bucket before it died."""
    for extension, content_type in CONTENT_TYPES.items():
        key = object_key(job, extension, deps)
        there = deps.objects.look(key)
        if there and _is_ours(job, there):
            _finish(
                job,
                deps,
                key=key,
                bytes=there.size,
                sha256=there.sha256,
                content_type=content_type,
                width=int(there.metadata.get("width", 0)),
                height=int(there.metadata.get("height", 0)),
            )
            return True
    return False


def _put_manifest(job: Job, key: str, image: dict[str, Any], deps: Deps) -> None:
    """Store the manifest once: what is there is from an earlier run, or somebody else's."""
    manifest = json.dumps(_manifest(job, image, deps), indent=2).encode()
    deps.objects.put_once(
        key,
        io.BytesIO(manifest),
        sha256=sha256(manifest).digest(),
        content_type="application/json",
        metadata={"job-id": job.id},
    )


def _is_ours(job: Job, there: StoredObject) -> bool:
    return there.metadata.get("job-id") == job.id


def object_key(job: Job, extension: str, deps: Deps) -> str:
    """Return where the image goes: the same for each run, for it depends on the job alone."""
    template = job.request.output_key or deps.settings.s3_key_template
    created = datetime.fromtimestamp(job.request.created_at, UTC)
    return template.format(
        job_id=job.id,
        date=created.strftime("%Y-%m-%d"),
        model=job.request.model,
        tenant=job.request.tenant,
        ext=extension,
    )


def _manifest(job: Job, image: dict[str, Any], deps: Deps) -> dict[str, Any]:
    """Return what is kept beside the image and outlives the record in Redis."""
    return {
        "job_id": job.id,
        "tenant": job.request.tenant,
        "model": job.request.model,
        "input": job.request.input,
        "seed": job.seed,
        "metadata": job.request.metadata,
        "provider_id": job.provider_id,
        "cost": job.cost,
        "expired_provider_id": job.expired_id,
        "expired_cost": job.expired_cost,
        "created_at": job.request.created_at,
        "stored_at": deps.clock(),
        "image": image,
    }


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
        if _take_stored(job, deps):
            return
    except StorageUnavailable:
        if deps.clock() < job.request.deadline_at:
            raise  # nobody can say now; the bucket will
    if _regenerate(job, error, deps):
        return
    if isinstance(error, ResultGone):
        message = f"The result's URL was dead before the image was stored (it answered {error})"
        deps.store.fail(job.id, FailureCode.RESULT_EXPIRED, message)
        return
    storage = isinstance(error, StorageUnavailable)
    code = FailureCode.STORAGE_FAILED if storage else FailureCode.RESULT_EXPIRED
    message = f"The image could not be stored before its URL died; the last try said: {error}"
    deps.store.fail(job.id, code, message)


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
