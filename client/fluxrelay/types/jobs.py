"""Jobs and what belongs to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fluxrelay.errors import JobFailedError
from fluxrelay.types.decode import Model

ENDED = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True)
class TimelineEntry(Model):
    """A status and when the job took it."""

    status: str
    at: datetime


@dataclass(frozen=True)
class File(Model):
    """A stored file of a result. `role` is missing where `Job.image` is meant."""

    uri: str
    bucket: str
    key: str
    bytes: int
    sha256: str
    content_type: str | None = None
    role: str | None = None
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    frames_per_second: float | None = None
    tracks: tuple[Any, ...] = ()
    provider_id: str | None = None
    margin_seconds: float | None = None


@dataclass(frozen=True)
class JobError(Model):
    """Why a job failed."""

    code: str
    message: str = ""
    retryable: bool = False
    provider_status: str | None = None
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Waiting(Model):
    """What delays a job. What it waits for is `raw["for"]`."""

    since: datetime | None = None
    until: datetime | None = None
    last_problem: str | None = None


@dataclass(frozen=True)
class Queue(Model):
    """The place of a queued job: how many are ahead, and when it probably starts."""

    position: int
    estimated_start_at: datetime | None = None


@dataclass(frozen=True)
class CallbackLogEntry(Model):
    """One attempt to deliver a job's callback."""

    at: datetime
    status: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class CallbackState(Model):
    """A job's or batch's callback: `waiting`, `pending`, `delivered` or `dead`.

    The `state` is `none` if the job came to an end that is not among its `events`.
    """

    url: str
    state: str | None = None
    attempts: int = 0
    events: tuple[str, ...] = ()
    log: tuple[CallbackLogEntry, ...] = ()


@dataclass(frozen=True)
class Provider(Model):
    """What the provider said of a job's task."""

    id: str | None = None
    seed: int | None = None
    cost: float | None = None
    input_megapixels: float | None = None
    output_megapixels: float | None = None
    resubmits: int = 0
    discarded: bool = False
    expired: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class BatchMembership(Model):
    """The batch of a job, and its name in there."""

    id: str
    custom_id: str | None = None


@dataclass(frozen=True)
class Job(Model):
    """A job as it stood when the service answered."""

    id: str
    model: str
    status: str
    created_at: datetime
    input: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    region: str | None = None
    priority: int = 0
    regenerate: bool = False
    max_resubmits: int | None = None
    deadline_at: datetime | None = None
    ended_at: datetime | None = None
    timeline: tuple[TimelineEntry, ...] = ()
    image: File | None = None
    artifacts: tuple[File, ...] = ()
    error: JobError | None = None
    waiting: Waiting | None = None
    queue: Queue | None = None
    batch: BatchMembership | None = None
    retry_of: str | None = None
    retried_as: str | None = None
    callback: CallbackState | None = None
    provider: Provider | None = None

    @property
    def ended(self) -> bool:
        """Tell whether the job has succeeded, failed or been canceled."""
        return self.status in ENDED

    @property
    def succeeded(self) -> bool:
        """Tell whether the job has its result."""
        return self.status == "succeeded"

    def artifact(self, role: str = "sample") -> File | None:
        """Return the file of a role, such as `sample` or `draft_cache`; None without one."""
        return next((file for file in self.artifacts if file.role == role), None)

    def raise_for_status(self) -> Job:
        """Return the job unless it has ended without a result.

        Raises:
            JobFailedError: The job failed or was canceled.
        """
        if self.ended and not self.succeeded:
            raise JobFailedError(self)
        return self


@dataclass(frozen=True)
class CancelResult(Model):
    """How many jobs a filter canceled, and how many of them had moved on meanwhile."""

    canceled: int
    not_canceled: int = 0
