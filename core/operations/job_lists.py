"""Lists a tenant's jobs by their indexes, newest first.

A page is one script, so it shows one moment. The cost of a page does not grow with the number of
jobs that are kept: it reads the shortest index among its filters, from the place of its cursor.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from core.jobs.index_names import metadata_index, model_index
from core.jobs.job import Job, JobId
from core.jobs.job_ids import prefix_at
from core.jobs.status import Status
from core.redis.store import JobStore
from core.redis.transitions import read_stored

#: Most jobs on one page.
MAX_PAGE_SIZE: Final = 100
#: Most indexed keys of metadata in one filter.
MOST_METADATA: Final = 3
#: A cursor as text: the 16 bytes of an id.
CURSOR_PATTERN: Final = r"[A-Za-z0-9_-]{21}[AQgw]"
_CURSOR: Final = re.compile(CURSOR_PATTERN)
#: Most jobs looked at for one page; filters may skip most of them.
_MOST_LOOKED_AT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which of a tenant's jobs to list; None: any."""

    tenant: str
    statuses: frozenset[Status] = frozenset(Status)
    model: str | None = None
    #: Unix time in milliseconds; the first is included, the second is not.
    created_after: int | None = None
    created_before: int | None = None
    #: Id of a batch.
    batch: str | None = None
    #: Key -> value as text, of indexed keys only.
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_about_times(self) -> bool:
        """Whether jobs of some times only are admitted."""
        return self.created_after is not None or self.created_before is not None

    def keys(self) -> list[str]:
        """Return the keys of the indexes that a job must be in, besides that of its status."""
        names = [model_index(self.model)] if self.model is not None else []
        names += [metadata_index(key, text) for key, text in self.metadata.items()]
        keys = [f"jobs:{self.tenant}:{name}" for name in names]
        return [*keys, f"batch:{self.batch}:jobs"] if self.batch is not None else keys


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place behind a job; it stays valid when the job moves, ends, or is no longer kept."""

    job_id: JobId

    def __str__(self) -> str:
        """Return the cursor as text."""
        return base64.urlsafe_b64encode(UUID(self.job_id).bytes).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Parse the text form of a cursor.

        Raises:
            ValueError: The text is not a cursor.
        """
        if not _CURSOR.fullmatch(text):
            raise ValueError(text)
        return cls(JobId(str(UUID(bytes=base64.urlsafe_b64decode(f"{text}==")))))


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, and where to continue; no cursor means that these were the last."""

    jobs: tuple[Job, ...]
    cursor: Cursor | None


class JobLists:
    """Lists jobs, blocking.

    Args:
        store: Stores the jobs.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def page(self, wanted: JobFilter, limit: int, cursor: Cursor | None = None) -> Page:
        """Return the newest jobs behind a cursor.

        A page before the last may be shorter than `limit`, even empty, because the number of jobs
        looked at is bounded.

        Raises:
            StoreUnavailable: Redis is unreachable.
        """
        last, *found = self._run(wanted, limit, cursor.job_id if cursor else None)
        read = (read_stored(job_id, pairs).job for job_id, pairs in found)
        return Page(tuple(job for job in read if job), Cursor(JobId(last)) if last else None)

    def ids(self, wanted: JobFilter) -> Iterator[JobId]:
        """Yield the ids of all jobs that a filter admits, as of some moments one after another.

        Raises:
            StoreUnavailable: Redis is unreachable.
        """
        last: str | None = None
        while last != "":
            last, *found = self._run(wanted, _MOST_LOOKED_AT, last, ids=True)
            yield from map(JobId, found)

    def _run(
        self, wanted: JobFilter, limit: int, behind: str | None, *, ids: bool = False
    ) -> list[Any]:
        before = "+" if wanted.created_before is None else f"({prefix_at(wanted.created_before)}"
        # A place behind a job that is not admitted any more is behind all that are.
        if behind and (before == "+" or behind < before[1:]):
            before = f"({behind}"
        after = wanted.created_after
        payload = self._store.payload() | {
            "tenant": wanted.tenant,
            "statuses": sorted(wanted.statuses),
            "keys": wanted.keys(),
            "from": "-" if after is None else f"[{prefix_at(after)}",
            "before": before,
            "limit": limit,
            "most": _MOST_LOOKED_AT,
            "ids": ids,
        }
        answer: list[Any] = self._store.scripts.run("list", payload)
        return answer
