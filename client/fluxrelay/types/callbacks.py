"""Callbacks: received, attempted, tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fluxrelay.types.batches import Batch
from fluxrelay.types.decode import Model
from fluxrelay.types.jobs import Job


@dataclass(frozen=True)
class Callback(Model):
    """A callback that was received and verified.

    Its `id` is the `webhook-id`: the same callback can come twice, with the same id.
    """

    id: str
    type: str
    timestamp: datetime
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def job(self) -> Job | None:
        """Return the job that the callback tells of; None if it tells of something else."""
        return Job.decode(self.data) if self.type.startswith("job.") else None

    @property
    def batch(self) -> Batch | None:
        """Return the batch that the callback tells of; None if it tells of something else."""
        return Batch.decode(self.data) if self.type.startswith("batch.") else None


@dataclass(frozen=True)
class CallbackSecret(Model):
    """The secret that signs callbacks, and older ones while the operator rotates them."""

    secret: str = field(repr=False)
    previous: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Attempt(Model):
    """One attempt to deliver a callback, of a job, of a batch, or of `callbacks.test`."""

    id: str
    at: datetime
    type: str
    outcome: str
    job_id: str | None = None
    batch_id: str | None = None
    test_id: str | None = None
    status: int | None = None
    milliseconds: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class CallbackReplay(Model):
    """How many callbacks are sent again, and whether there are `more` for another request."""

    replayed: int
    more: bool = False


@dataclass(frozen=True)
class CallbackTest(Model):
    """What came of a sample callback; `delivered` is None if it is still under way."""

    delivered: bool | None = None
    status: int | None = None
    milliseconds: float | None = None
    error: str | None = None
    id: str | None = None


@dataclass(frozen=True)
class DeadLetter(Model):
    """A failed job, or a callback that was given up.

    `kind` is `job`, `callback` (of a job), or `batch` (the callback of a batch). The last has
    `batch` in the place of `job`.
    """

    kind: str
    at: datetime
    job: Job | None = None
    batch: Batch | None = None
