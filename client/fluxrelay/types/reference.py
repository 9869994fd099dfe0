"""Models, events and pages of lists."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from fluxrelay.types.decode import Model, moment
from fluxrelay.types.jobs import Job

M = TypeVar("M")


@dataclass(frozen=True)
class ModelInfo(Model):
    """A model that the deployment offers."""

    name: str
    endpoint: str | None = None
    media: str | None = None
    webhook: bool | None = None
    cost_on_submit: bool | None = None
    most_pixels: int | None = None
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variant_field: str | None = None
    variants: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Event:
    """An event of a stream: `id` resumes after it, `type` is such as `job.succeeded`."""

    id: str
    type: str
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def raw(self) -> dict[str, Any]:
        """Return the event as JSON."""
        return dataclasses.asdict(self)

    @property
    def job(self) -> Job | None:
        """Return the job as it stands, which events of one job carry; else None."""
        view = self.data.get("job")
        return Job.decode(view) if isinstance(view, dict) else None

    @property
    def job_id(self) -> str | None:
        """Return the id of the job that the event tells of; None if it tells of none."""
        view = self.data.get("job")
        found = view.get("id") if isinstance(view, dict) else self.data.get("job_id")
        return found if isinstance(found, str) else None

    @property
    def status(self) -> str | None:
        """Return the status that the job took; None if the event tells of no job."""
        status = self.data.get("status")
        return status if isinstance(status, str) else None

    @property
    def at(self) -> datetime | None:
        """Return when it took that status."""
        at = self.data.get("at")
        return moment(at) if isinstance(at, str) else None


@dataclass(frozen=True)
class Page(Generic[M]):
    """A page of a list. The next one begins at `next_cursor`, which is None on the last."""

    items: tuple[M, ...]
    next_cursor: str | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    def __iter__(self) -> Iterator[M]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
