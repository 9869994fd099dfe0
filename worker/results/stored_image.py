"""A job's image and manifest in the bucket: stored once, and recognized by later runs."""

import io
import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote, unquote

from core.errors import Permanent
from core.jobs.failures import FailureCode
from core.jobs.job import Job
from core.storage.object_keys import MANIFEST_ENDING
from core.storage.object_store import StoredObject
from core.storage.s3_errors import RequestRefused
from worker.clients.download import CONTENT_TYPES, Result
from worker.deps import Deps

#: Metadata field for the provider's task id, percent-encoded; all metadata of an object must fit
#: into 2 kB.
_TASK: Final = "provider-id"
_LONGEST_TASK: Final = 400
#: Attempts at a key that is reported as taken although no object is there.
_ATTEMPTS: Final = 2
#: What the record holds about an image. `provider_id` is the task that made this image.
StoredImage = dict[str, str | int | None]


def put_image(job: Job, result: Result, deps: Deps) -> StoredImage:
    """Store the image once; return what is recorded about the object at its key.

    Raises:
        RequestRefused: S3 will never accept the key.
        StorageUnavailable: It may go well later.
        Permanent: The key holds another object.
    """
    key = object_key(job, result.extension, deps)
    ours: StoredImage = {
        "key": key,
        "bytes": result.size,
        "sha256": result.sha256.hex(),
        "content_type": result.content_type,
        "width": result.width,
        "height": result.height,
        "provider_id": job.provider_id,
    }
    there = _put(job, key, result, deps)
    if there is None:
        return ours
    if not _is_ours(job, there):
        message = f"The key {key} already holds another object, which was not overwritten"
        raise Permanent(FailureCode.STORAGE_FAILED, message)
    if not there.whole:  # the server stored fewer bytes than it was sent
        deps.objects.replace(key, result.file, **_put_arguments(job, result))
        return ours
    # It may come from an earlier task of the job that was abandoned too soon.
    same = there.sha256 == ours["sha256"]
    return ours if same else _stored(key, result.content_type, there)


def _put(job: Job, key: str, result: Result, deps: Deps) -> StoredObject | None:
    """Put the image unless the key is taken; return the object that has taken it."""
    for _ in range(_ATTEMPTS):
        if deps.objects.put_once(key, result.file, **_put_arguments(job, result)):
            return None
        if there := deps.objects.head(key):
            return there
        # The object was deleted meanwhile, or the server cannot store a key beside one that is its
        # prefix.
    message = (
        f"S3 reports the key {key} as taken, but it holds no object: "
        "it may be a prefix of another object's key, or the other way round"
    )
    raise RequestRefused(message, 0)


def _put_arguments(job: Job, result: Result) -> dict[str, Any]:
    """Return the checksum, type and metadata that S3 gets with the image."""
    metadata = {
        "job-id": job.id,
        "model": job.request.model,
        "width": str(result.width),
        "height": str(result.height),
    }
    if job.seed is not None:
        metadata["seed"] = str(job.seed)
    task = quote(job.provider_id or "", safe="")
    if 0 < len(task) <= _LONGEST_TASK:
        metadata[_TASK] = task
    return {
        "sha256": result.sha256,
        "content_type": result.content_type,
        "metadata": metadata,
    }


def find_image(job: Job, deps: Deps) -> StoredImage | None:
    """Return what is known about an image that an earlier run stored before it died."""
    for extension, content_type in CONTENT_TYPES.items():
        key = object_key(job, extension, deps)
        there = deps.objects.head(key)
        if there and there.whole and _is_ours(job, there):
            return _stored(key, content_type, there)
    return None


def _stored(key: str, content_type: str, there: StoredObject) -> StoredImage:
    """Return what is recorded about an image that another run stored."""
    stated = there.content_type
    return {
        "key": key,
        "bytes": there.size,
        "sha256": there.sha256,
        "content_type": stated if stated in CONTENT_TYPES.values() else content_type,
        "width": int(there.metadata.get("width", 0)),
        "height": int(there.metadata.get("height", 0)),
        "provider_id": unquote(there.metadata.get(_TASK, "")) or None,
    }


def put_manifest(job: Job, image: dict[str, Any], deps: Deps) -> None:
    """Store the manifest beside the image, once; an earlier run's manifest stays.

    Raises:
        RequestRefused: Its key holds another object, or S3 will never accept it.
        StorageUnavailable: It may go well later.
    """
    key = f"{image['key']}{MANIFEST_ENDING}"
    manifest = json.dumps(_manifest(job, image, deps), indent=2).encode()
    fresh = deps.objects.put_once(
        key,
        io.BytesIO(manifest),
        sha256=sha256(manifest).digest(),
        content_type="application/json",
        metadata={"job-id": job.id},
    )
    if fresh:
        return
    there = deps.objects.head(key)
    if there is None or not _is_ours(job, there):
        raise RequestRefused(f"The key {key} holds no manifest of this job", 0)


def _is_ours(job: Job, there: StoredObject) -> bool:
    return there.metadata.get("job-id") == job.id


def object_key(job: Job, extension: str, deps: Deps) -> str:
    """Return the image's key: the same in each run, because it depends on the job alone."""
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
    """Return what is stored beside the image and outlives the record in Redis."""
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
