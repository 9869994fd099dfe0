"""Accepts jobs: from a parsed body to a job on disk."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Protocol

from starlette.datastructures import Headers

from core.errors import BacklogFull, IdempotencyConflict, StoreUnavailable
from core.jobs.input_places import with_values
from core.jobs.job import Job, JobId, JobRequest
from core.jobs.job_ids import created_at_of, new_job_id
from core.redis.async_store import AsyncJobStore
from core.redis.change import Idempotency
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_keys import INPUT_PREFIX
from core.storage.object_store import ObjectStore
from service.body.inline_files import InlineFile
from service.body.json_body import parse_json
from service.body.json_scanner import ScannedBody
from service.http.problems import FieldError, Problem, backlog_full
from service.intake.job_request import NewJob, parse_job
from service.intake.limits import IDEMPOTENCY_KEY_PATTERN, LONGEST_IDEMPOTENCY_KEY
from service.intake.storage_threads import ThreadPool

#: Seconds after which stored inputs are deleted if their job is not accepted.
_INPUT_GUARD: Final = 900.0
_KEY: Final = re.compile(IDEMPOTENCY_KEY_PATTERN)
canonical_json: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Parse(Protocol):
    """Parses a JSON body."""

    def __call__(
        self, body: Any, settings: Settings, inline: Mapping[str, InlineFile], /
    ) -> NewJob:
        """Return the requested job; raises a `Problem` with everything that is wrong."""


class Accepted(NamedTuple):
    """A job that is on disk."""

    job_id: JobId
    #: Whether it is new, or was created earlier with the same idempotency key.
    fresh: bool
    #: Its state at that moment; None if it is gone already.
    job: Job | None


@dataclass(frozen=True, slots=True)
class Checked:
    """A valid body that is not stored yet."""

    tenant: str
    job: NewJob
    idempotency: Idempotency | None


@dataclass(frozen=True, slots=True)
class Intake:
    """Accepts jobs."""

    settings: Settings
    #: For code that runs in a thread anyway.
    store: JobStore
    async_store: AsyncJobStore
    objects: ObjectStore
    #: Runs calls to S3.
    image_threads: ThreadPool

    def check(
        self, tenant: str, scanned: ScannedBody, key: str | None, parse: Parse = parse_job
    ) -> Checked:
        """Validate a whole body; CPU only, no I/O.

        Args:
            tenant: The job's tenant.
            scanned: The request's body.
            key: The `Idempotency-Key` header.
            parse: Parses the body of this API.

        Raises:
            Problem: The body or the key is invalid.
        """
        body = parse_json(scanned.skeleton, scanned.gaps)
        job = parse(body, self.settings, scanned.files)
        return Checked(tenant, job, _idempotency(key, body, job, scanned.files))

    async def accept(self, checked: Checked) -> Accepted:
        """Accept a validated job.

        If it has files, first the idempotency key is looked up; a new job's files are then stored,
        guarded by a scheduled clean-up in case we die. Then the job is stored, unless the key
        created one before.

        Raises:
            Problem: The backlog is full, or the key was used with another body.
            StoreUnavailable: The outcome is unknown.
            StorageUnavailable: The job was not accepted.
        """
        job_id = new_job_id()
        try:
            input_keys: dict[str, str] = {}
            if checked.job.files:  # otherwise the script that stores the job looks the key up
                key = checked.idempotency
                known = (
                    await self.async_store.find_by_idempotency_key(checked.tenant, key)
                    if key
                    else None
                )
                if known:
                    return Accepted(known.id, fresh=False, job=known.job)
                input_keys = await self.image_threads.run(self.store_inputs, job_id, checked.job)
            request = self.request(job_id, checked.tenant, checked.job, input_keys)
            stored = await self.async_store.accept(job_id, request, checked.idempotency)
        except IdempotencyConflict:
            raise idempotency_conflict() from None
        except BacklogFull:
            if checked.job.files:
                await self.image_threads.run(self.store.guard_inputs, job_id, time.time())
            raise backlog_full(self.settings.max_backlog) from None
        return Accepted(stored.id, fresh=stored.id == job_id, job=stored.job)

    def store_inputs(self, job_id: JobId, job: NewJob) -> dict[str, str]:
        """Store a job's files, guarded by a scheduled clean-up; return their keys by place."""
        self.store.guard_inputs(job_id, time.time() + _INPUT_GUARD)
        keys: dict[str, str] = {}
        for place, one in job.files.items():
            keys[place] = f"{INPUT_PREFIX}{job_id}/{place}"
            self.objects.put(
                keys[place], one.file, sha256=one.sha256, content_type=one.content_type
            )
        return keys

    def record(self, job_id: JobId) -> Job | None:
        """Return an accepted job; None if it is gone or cannot be read at the moment.

        The job is on disk by now, so a failed read must not turn the response into an error.
        """
        try:
            return self.store.load(job_id)
        except StoreUnavailable:
            return None

    def request(
        self, job_id: JobId, tenant: str, job: NewJob, input_keys: dict[str, str]
    ) -> JobRequest:
        """Return the request of a new job, whose files are stored at these keys."""
        created_at = created_at_of(job_id)
        return JobRequest(
            tenant=tenant,
            model=job.model,
            input=job.input,
            input_keys=input_keys,
            callback_url=job.callback_url,
            callback_events=job.callback_events,
            origin=job.origin,
            client_secret=job.client_secret,
            output_key=job.output_key,
            region=job.region,
            priority=job.priority,
            regenerate=job.regenerate,
            max_resubmits=job.max_resubmits,
            metadata=job.metadata,
            created_at=created_at,
            deadline_at=round(
                job.deadline_at or created_at + self.settings.deadline_seconds(job.model), 3
            ),
        )


def idempotency_key(headers: Headers) -> str | None:
    """Return the `Idempotency-Key`, or None where there is none.

    Raises:
        Problem: 400; there are several that differ, and neither is guessed at.
    """
    keys = set(headers.getlist("idempotency-key"))
    if len(keys) > 1:
        raise _bad_key("is given more than once, with different values", "one value", "send one")
    return keys.pop() if keys else None


def hashed_key(key: str) -> str:
    """Return the hash under which a key is stored.

    Raises:
        Problem: 400; it is not valid.
    """
    if not _KEY.fullmatch(key):
        allowed = f"1 to {LONGEST_IDEMPOTENCY_KEY} printable ASCII characters"
        raise _bad_key("is not valid", allowed, "send a UUID")
    return sha256(key.encode()).hexdigest()


def _bad_key(problem: str, allowed: str, fix: str) -> Problem:
    field_error = FieldError("Idempotency-Key", problem, allowed, fix)
    detail = f"The Idempotency-Key header {problem}: {allowed}; {fix}"
    return Problem(HTTPStatus.BAD_REQUEST, "invalid-idempotency-key", detail, [field_error])


def _idempotency(
    key: str | None, body: dict[str, Any], job: NewJob, inline: Mapping[str, InlineFile]
) -> Idempotency | None:
    """Return the key's hash and the body's fingerprint, which is equal for equal JSON.

    A file counts by the SHA-256 of its bytes, so that line breaks and a `data:` prefix make no
    difference. The digest is an object, which no caller can send in place of a file.
    """
    if key is None:
        return None
    key_hash = hashed_key(key)
    fields = body if job.origin else body["input"]
    if inline or job.files:
        fields = _with_digests(fields, job, inline)
    header = {} if job.cancel_after is None else {"deadline": job.cancel_after}
    # In the drop-in API the path names the model.
    counted = [job.model, fields] if job.origin else [body | {"input": fields} | header]
    canonical = canonical_json(counted).encode()
    return Idempotency(key_hash=key_hash, fingerprint=sha256(canonical).hexdigest())


def _with_digests(
    fields: dict[str, Any], job: NewJob, inline: Mapping[str, InlineFile]
) -> dict[str, Any]:
    """Return the fields with each file replaced by its digest.

    A long file in a field that the model ignores does not belong to the job, but its reference,
    random for each request, must not change the fingerprint.
    """
    known = {name: _without_references(value, inline) for name, value in fields.items()}
    return with_values(known, {place: _digest(one.sha256) for place, one in job.files.items()})


def _without_references(value: Any, inline: Mapping[str, InlineFile]) -> Any:
    """Return a value with each reference in it replaced by the file's digest."""
    if isinstance(value, list):
        return [_without_references(one, inline) for one in value]
    long = inline.get(value) if isinstance(value, str) else None
    return _digest(long.sha256) if long else value


def _digest(digest: bytes) -> dict[str, str]:
    return {"sha256": digest.hex()}


def idempotency_conflict() -> Problem:
    """Return the problem of a key that came with another body before."""
    allowed = "a new key for each new body"
    fix = "send the first body again, or this one with a new key"
    field_error = FieldError("Idempotency-Key", "came with another body before", allowed, fix)
    detail = "The Idempotency-Key was already used with another body; nothing was accepted"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-conflict", detail, [field_error])
