"""Batches and their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fluxrelay.types.decode import Model
from fluxrelay.types.jobs import CallbackState, File, JobError


@dataclass(frozen=True)
class Counts(Model):
    """How many jobs of a batch have each status."""

    total: int
    queued: int = 0
    submitting: int = 0
    generating: int = 0
    storing: int = 0
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0

    @property
    def ended(self) -> int:
        """Return the number of jobs that have ended."""
        return self.succeeded + self.failed + self.canceled


@dataclass(frozen=True)
class ResultsFile(Model):
    """The file of a batch's results in the bucket, one JSON line per item."""

    uri: str
    bucket: str
    key: str
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Batch(Model):
    """A batch as it stood when the service answered."""

    id: str
    status: str
    created_at: datetime
    counts: Counts
    ended_at: datetime | None = None
    canceled_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    cost: float | None = None
    estimated_end_at: datetime | None = None
    results: ResultsFile | None = None
    callback: CallbackState | None = None
    retry_of: str | None = None
    retried_as: str | None = None
    #: With `on_error="skip"`: what was wrong with the items that were left out.
    rejected: tuple[Mapping[str, Any], ...] = ()
    #: How many complaints there are, of which `rejected` holds the first thousand.
    rejected_total: int = 0

    @property
    def ended(self) -> bool:
        """Tell whether all of its jobs have ended and its results are written."""
        return self.status == "completed"


@dataclass(frozen=True)
class BatchResult(Model):
    """What became of one item of a batch."""

    job_id: str
    status: str
    custom_id: str | None = None
    artifacts: tuple[File, ...] = ()
    error: JobError | None = None
