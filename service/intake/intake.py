"""Takes a job in: from a body that was read to a job that is on disk."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Protocol

from uuid_utils import uuid7

from core.errors import BacklogFull, IdempotencyConflict, StoreUnavailable
from core.jobs.job import Job, JobId, JobRequest
from core.redis.async_store import AsyncJobStore
from core.redis.change import Idempotency
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_keys import INPUT_PREFIX
from core.storage.object_store import ObjectStore
from service.body.inline_images import InlineImage
from service.body.json_body import parse_json
from service.body.json_scanner import ScannedBody
from service.http.problems import Complaint, Problem, backlog_full
from service.intake.image_checks import InputImage
from service.intake.job_request import NewJob, parse_job
from service.intake.limits import IDEMPOTENCY_KEY_PATTERN, LONGEST_IDEMPOTENCY_KEY
from service.intake.storage_threads import Threads

#: Seconds that stored inputs wait for their job to be accepted before they are deleted.
_INPUT_GUARD: Final = 900.0
_KEY: Final = re.compile(IDEMPOTENCY_KEY_PATTERN)
_canonical: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Parse(Protocol):
    """Reads a body that is JSON."""

    def __call__(
        self, body: Any, settings: Settings, inline: Mapping[str, InlineImage], /
    ) -> NewJob:
        """Return what the body asks for; raises a `Problem` with everything that is wrong."""


class Accepted(NamedTuple):
    """A job that is on disk."""

    job_id: JobId
    #: Whether it is new, or was brought by the same idempotency key before.
    fresh: bool
    #: As it stood then; None where it is gone already.
    job: Job | None


@dataclass(frozen=True, slots=True)
class Checked:
    """What is right about a body, and is not stored yet."""

    tenant: str
    job: NewJob
    idempotency: Idempotency | None


@dataclass(frozen=True, slots=True)
class Intake:
    """Accepts jobs."""

    settings: Settings
    #: For what waits in a thread anyway.
    store: JobStore
    awaited: AsyncJobStore
    objects: ObjectStore
    #: For what waits for S3.
    image_threads: Threads

    def check(
        self, tenant: str, scanned: ScannedBody, key: str | None, parse: Parse = parse_job
    ) -> Checked:
        """Check a whole body; it computes, and waits for nothing.

        Args:
            tenant: Whose job it is.
            scanned: The request's body.
            key: The `Idempotency-Key` header.
            parse: Reads the body; faces differ in it.

        Raises:
            Problem: The body, or the key, is not as it must be.
        """
        body = parse_json(scanned.skeleton, scanned.gaps)
        job = parse(body, self.settings, scanned.images)
        return Checked(tenant, job, _idempotency(key, body, job, scanned.images))

    async def accept(self, checked: Checked) -> Accepted:
        """Accept a job whose body was checked.

        1. Where it has images, look whether the idempotency key brought it before; else store them,
        guarded by a clean-up in case we die before 2. 2. Store the job, unless the key brought it
        before.

        Raises:
            Problem: The backlog is full, or the key came with another body before.
            StoreUnavailable: Nothing is promised.
            StorageUnavailable: Nothing is promised.
        """
        job_id = JobId(str(uuid7()))
        try:
            input_keys: dict[str, str] = {}
            if checked.job.images:  # else the step that stores the job looks the key up as well
                key = checked.idempotency
                known = (
                    await self.awaited.find_by_idempotency_key(checked.tenant, key) if key else None
                )
                if known:
                    return Accepted(known.id, fresh=False, job=known.job)
                input_keys = await self.image_threads.run(self.store_inputs, job_id, checked.job)
            request = self._request(checked.tenant, checked.job, input_keys)
            stored = await self.awaited.accept(job_id, request, checked.idempotency)
        except IdempotencyConflict:
            raise _conflict() from None
        except BacklogFull:
            if checked.job.images:
                await self.image_threads.run(self.store.guard_inputs, job_id, time.time())
            raise backlog_full() from None
        return Accepted(stored.id, fresh=stored.id == job_id, job=stored.job)

    def store_inputs(self, job_id: JobId, job: NewJob) -> dict[str, str]:
        """Put a job's images into the bucket, guarded by a clean-up; return their keys by name."""
        self.store.guard_inputs(job_id, time.time() + _INPUT_GUARD)
        keys: dict[str, str] = {}
        for name, image in job.images.items():
            keys[name] = f"{INPUT_PREFIX}{job_id}/{name}"
            self.objects.put(
                keys[name], image.file, sha256=image.sha256, content_type=image.content_type
            )
        return keys

    def record(self, job_id: JobId) -> Job | None:
        """Return an accepted job's record; None where it is gone, or cannot be read right now.

        The promise has been given by then, so its answer must not be that nothing is promised.
        """
        try:
            return self.store.load(job_id)
        except StoreUnavailable:
            return None

    def _request(self, tenant: str, job: NewJob, input_keys: dict[str, str]) -> JobRequest:
        now = time.time()
        return JobRequest(
            tenant=tenant,
            model=job.model,
            input=job.input,
            input_keys=input_keys,
            callback_url=job.callback_url,
            origin=job.origin,
            client_secret=job.client_secret,
            output_key=job.output_key,
            region=job.region,
            priority=job.priority,
            regenerate=job.regenerate,
            max_resubmits=job.max_resubmits,
            metadata=job.metadata,
            created_at=round(now, 3),
            deadline_at=round(now + self.settings.job_deadline_seconds, 3),
        )


def _idempotency(
    key: str | None, body: dict[str, Any], job: NewJob, inline: Mapping[str, InlineImage]
) -> Idempotency | None:
    """Return the key's hash and the body's fingerprint: equal for equal JSON, however written.

    An image counts by the SHA-256 of its bytes, so that line breaks or a `data:` prefix make no
    difference. It stands there as an object, which no caller can send in an image's place.
    """
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        allowed = f"1 to {LONGEST_IDEMPOTENCY_KEY} printable ASCII characters"
        complaint = Complaint("Idempotency-Key", "is not valid", allowed, "send a UUID")
        detail = "The Idempotency-Key header is not valid; see errors"
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid-idempotency-key", detail, [complaint])
    fields = body if job.origin else body["input"]
    if inline or job.images:
        fields = _with_digests(fields, job, inline)
    # A client of the provider's API names the model in the path.
    counted = [job.model, fields] if job.origin else [body | {"input": fields}]
    canonical = _canonical(counted).encode()
    return Idempotency(
        key_hash=sha256(key.encode()).hexdigest(), fingerprint=sha256(canonical).hexdigest()
    )


def _with_digests(
    fields: dict[str, Any], job: NewJob, inline: Mapping[str, InlineImage]
) -> dict[str, Any]:
    """Return fields with each image's digest in its place.

    A long image that the model ignores is none of the job's. In its place stands a reference,
    which is another one each time the body comes.
    """
    images: dict[str, InputImage | InlineImage] = {
        name: inline[value]
        for name, value in fields.items()
        if isinstance(value, str) and value in inline
    }
    images.update(job.images)
    return fields | {name: {"sha256": image.sha256.hex()} for name, image in images.items()}


def _conflict() -> Problem:
    allowed = "a new key for each new body"
    fix = "send the first body again, or this one with a new key"
    complaint = Complaint("Idempotency-Key", "came with another body before", allowed, fix)
    detail = "The Idempotency-Key was already used for another job; nothing was accepted"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-conflict", detail, [complaint])
