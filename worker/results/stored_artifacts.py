"""A job's artifacts and manifest in the bucket: stored once, and recognized by later runs.

An artifact is one file of a result: the sample, which is the image or video itself, or a draft's
bundle.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from urllib.parse import quote, unquote

from core.errors import Permanent
from core.jobs.failures import FailureCode
from core.jobs.job import SAMPLE, Job
from core.media.contents import BUNDLE, IMAGE, VIDEO, Content
from core.provider.catalogue.entry import Media
from core.storage.object_keys import MANIFEST_ENDING
from core.storage.object_store import StoredObject
from core.storage.s3_errors import RequestRefused
from worker.clients.download import Result
from worker.deps import Deps

#: Metadata field for the provider's task id, percent-encoded; all metadata of an object must fit
#: into 2 kB.
_TASK: Final = "provider-id"
_LONGEST_TASK: Final = 400
#: Attempts at a key that is reported as taken although no object is there.
_ATTEMPTS: Final = 2
_ROLE: Final = "{role}"
#: What the record holds about an artifact. `provider_id` is the task that made it.
Artifact = dict[str, Any]


def wanted(job: Job, deps: Deps) -> dict[str, tuple[str, Content]]:
    """Return the artifacts of a job's result, the sample first: role -> link, and what it is.

    The link is empty while the provider has not named it.
    """
    model = deps.settings.models.get(job.request.model)
    content = VIDEO if model and model.media is Media.VIDEO else IMAGE
    promised = dict.fromkeys(model.further_roles(job.request.input) if model else (), "")
    more = {role: (url, BUNDLE) for role, url in {**promised, **job.more_urls}.items()}
    return {SAMPLE: (job.result_url or "", content), **more}


def put_artifact(
    job: Job,
    role: str,
    result: Result,
    stored: Sequence[Artifact],
    deps: Deps,
    *,
    alive: Callable[[], None] | None = None,
) -> Artifact:
    """Store an artifact once; return what is recorded about the object at its key.

    Args:
        job: The job.
        role: The artifact's role.
        result: Its file.
        stored: The artifacts that are stored before it.
        deps: The step's dependencies.
        alive: Called while a large file is sent, to renew the caller's lease.

    Raises:
        RequestRefused: S3 will never accept the key.
        StorageUnavailable: It may go well later.
        Permanent: The key holds another object.
    """
    key = _key(job, role, result.extension, stored, deps)
    ours: Artifact = {
        "role": role,
        "key": key,
        "bytes": result.size,
        "sha256": result.sha256.hex(),
        "content_type": result.content_type,
        **result.facts,
        "provider_id": job.provider_id,
    }
    sent = {**_metadata(job, role, result), "alive": alive}
    there = _put(key, result, sent, deps)
    if there is None:
        return ours
    if not _is_ours(job, there):
        message = f"The key {key} already holds another object, which was not overwritten"
        raise Permanent(FailureCode.STORAGE_FAILED, message)
    # The server stored fewer bytes than it was sent, or the parts of two results would be mixed.
    if not there.whole or not _may_belong(job, there, deps):
        deps.objects.replace(key, result.file, **sent)
        return ours
    # It may come from an earlier task of the job that was abandoned too soon.
    content = wanted(job, deps)[role][1]
    same = there.sha256 == ours["sha256"]
    return ours if same else _stored(role, key, result.content_type, content, there)


def _put(key: str, result: Result, sent: dict[str, Any], deps: Deps) -> StoredObject | None:
    """Put the artifact unless the key is taken; return the object that has taken it."""
    for _ in range(_ATTEMPTS):
        if deps.objects.put_once(key, result.file, **sent):
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


def _metadata(job: Job, role: str, result: Result) -> dict[str, Any]:
    """Return the checksum, type and metadata that S3 gets with an artifact."""
    metadata = {"job-id": job.id, "model": job.request.model}
    if role != SAMPLE:
        metadata["role"] = role
    for name, value in result.facts.items():
        text = ",".join(value) if isinstance(value, list) else str(value)
        metadata[name.replace("_", "-")] = text
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


def find_artifacts(job: Job, deps: Deps) -> list[Artifact] | None:
    """Return what is known about the artifacts if earlier runs stored all of them."""
    stored: list[Artifact] = []
    for role, (_, content) in wanted(job, deps).items():
        there = find_artifact(job, role, content, stored, deps)
        if there is None:
            return None
        stored.append(there)
    return stored


def find_artifact(
    job: Job, role: str, content: Content, stored: Sequence[Artifact], deps: Deps
) -> Artifact | None:
    """Return what is known about an artifact that an earlier run stored before it died."""
    for form in content.formats:
        key = _key(job, role, form.extension, stored, deps)
        there = deps.objects.head(key)
        if there and there.whole and _is_ours(job, there) and _may_belong(job, there, deps):
            return _stored(role, key, form.content_type, content, there)
    return None


def remove_leftovers(job: Job, deps: Deps) -> None:
    """Remove what unfinished uploads of a job that is given up left.

    Images are too small to be sent in parts.

    Raises:
        StorageUnavailable: S3 is unreachable.
    """
    sample: list[Artifact] = []
    for role, (_, content) in wanted(job, deps).items():
        key = _key(job, role, content.formats[0].extension, sample, deps)
        sample = sample or [{"key": key}]
        if content is not IMAGE:
            deps.objects.abort_uploads(key)


def _stored(
    role: str, key: str, content_type: str, content: Content, there: StoredObject
) -> Artifact:
    """Return what is recorded about an artifact that another run stored."""
    known = {form.content_type for form in content.formats}
    told = {name: there.metadata.get(name.replace("_", "-"), "") for name in content.facts}
    return {
        "role": role,
        "key": key,
        "bytes": there.size,
        "sha256": there.sha256,
        "content_type": there.content_type if there.content_type in known else content_type,
        **{name: read(told[name]) for name, read in content.facts.items()},
        "provider_id": _task_of(there),
    }


def put_manifest(job: Job, artifacts: Sequence[Artifact], deps: Deps) -> None:
    """Store the manifest beside the sample, once; an earlier run's manifest stays.

    Raises:
        RequestRefused: Its key holds another object, or S3 will never accept it.
        StorageUnavailable: It may go well later.
    """
    key = f"{artifacts[0]['key']}{MANIFEST_ENDING}"
    manifest = json.dumps(_manifest(job, artifacts, deps), indent=2).encode()
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


def _task_of(there: StoredObject) -> str | None:
    return unquote(there.metadata.get(_TASK, "")) or None


def _may_belong(job: Job, there: StoredObject, deps: Deps) -> bool:
    """Return whether an object may be part of this result: several files must be of one task."""
    return len(wanted(job, deps)) == 1 or _task_of(there) in (None, job.provider_id)


def _key(job: Job, role: str, extension: str, stored: Sequence[Artifact], deps: Deps) -> str:
    """Return an artifact's key; where the template names no role, it follows the sample's key."""
    if role == SAMPLE or _ROLE in _template(job, deps):
        return object_key(job, extension, deps, role)
    return f"{stored[0]['key']}.{role}.{extension}"


def object_key(job: Job, extension: str, deps: Deps, role: str = SAMPLE) -> str:
    """Return the key that the template makes: the same in each run, for it depends on the job."""
    created = datetime.fromtimestamp(job.request.created_at, UTC)
    return _template(job, deps).format(
        job_id=job.id,
        date=created.strftime("%Y-%m-%d"),
        model=job.request.model,
        tenant=job.request.tenant,
        role=role,
        ext=extension,
    )


def _template(job: Job, deps: Deps) -> str:
    return job.request.output_key or deps.settings.s3_key_template


def _manifest(job: Job, artifacts: Sequence[Artifact], deps: Deps) -> dict[str, Any]:
    """Return what is stored beside the result and outlives the record in Redis."""
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
        "image": replace(job, artifacts=tuple(artifacts)).image,
        "artifacts": list(artifacts),
    }
