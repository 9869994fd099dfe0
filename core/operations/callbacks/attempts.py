"""Lists the attempts at a tenant's callbacks, newest first."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from core.redis.store import JobStore

#: Most attempts on one page.
MAX_PAGE_SIZE: Final = 100
#: A cursor as text: the place of an attempt in the stream.
CURSOR_PATTERN: Final = r"[0-9]{1,16}-[0-9]{1,16}"
_CURSOR: Final = re.compile(CURSOR_PATTERN)
#: Most attempts looked at for one page; filters may skip most of them.
_MOST_LOOKED_AT: Final = 2000
_BATCH: Final = 200
_FIRST: Final = "0-0"


class Outcome(StrEnum):
    """What came of an attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFilter:
    """Which of a tenant's attempts to list; None: any."""

    tenant: str
    #: Id of a job, and of a batch.
    job: str | None = None
    batch: str | None = None
    outcome: Outcome | None = None
    #: Type of the event: `job.succeeded`.
    event_type: str | None = None
    #: Unix time in milliseconds; the first is included, the second is not.
    since: int | None = None
    until: int | None = None


class Attempt(NamedTuple):
    """One attempt."""

    #: Its place in the stream, and its cursor.
    place: str
    fields: Mapping[str, str]

    @property
    def job_id(self) -> str | None:
        """The job whose callback it was."""
        return self.fields.get("job")

    @property
    def batch_id(self) -> str | None:
        """The batch whose callback it was."""
        return self.fields.get("batch")

    @property
    def test_id(self) -> str | None:
        """The test whose sample event it was (`core.operations.callbacks.samples`)."""
        return self.fields.get("test")

    @property
    def at(self) -> float:
        """Unix time in seconds."""
        return float(self.fields["at"])

    @property
    def event_type(self) -> str:
        """Type of the event: `job.succeeded`."""
        return self.fields["type"]

    @property
    def outcome(self) -> Outcome:
        """What came of it."""
        return Outcome(self.fields["outcome"])

    @property
    def status(self) -> int | None:
        """HTTP status of the answer; None if there was none."""
        return int(self.fields["status"]) if "status" in self.fields else None

    @property
    def milliseconds(self) -> int | None:
        """How long it took."""
        return int(self.fields["ms"]) if "ms" in self.fields else None

    @property
    def error(self) -> str | None:
        """Why there was no answer."""
        return self.fields.get("error")


def cursor(text: str) -> str:
    """Check that a text is a cursor; return it.

    Raises:
        ValueError: It is none.
    """
    if not _CURSOR.fullmatch(text):
        raise ValueError(text)
    return text


def page(
    store: JobStore, wanted: AttemptFilter, limit: int, behind: str | None = None
) -> tuple[list[Attempt], str | None]:
    """Return the newest attempts behind a cursor, and where to continue; None: these are the last.

    A page before the last may be shorter than `limit`, because the number of attempts looked at is
    bounded.

    Raises:
        StoreUnavailable: Redis is unreachable.
    """
    found: list[Attempt] = []
    for looked_at, attempt in enumerate(_newest_first(store, wanted, behind)):
        if len(found) == limit or looked_at == _MOST_LOOKED_AT:
            return found, behind
        behind = attempt.place
        found += [attempt] if _is_wanted(attempt, wanted) else []
    return found, None


def _is_wanted(attempt: Attempt, wanted: AttemptFilter) -> bool:
    return (
        wanted.job in (None, attempt.job_id)
        and wanted.batch in (None, attempt.batch_id)
        and wanted.outcome in (None, attempt.outcome)
        and wanted.event_type in (None, attempt.event_type)
    )


def _newest_first(store: JobStore, wanted: AttemptFilter, behind: str | None) -> Iterator[Attempt]:
    """Yield the attempts between two times behind a cursor, read in batches."""
    if wanted.until == 0 or behind == _FIRST:  # nothing is before it
        return
    first = "-" if wanted.since is None else str(wanted.since)
    last = f"({behind}" if behind else "+" if wanted.until is None else f"({wanted.until}"
    while True:
        entries: list[Any] = store.read(
            "xrevrange", f"attempts:{wanted.tenant}", last, first, count=_BATCH
        )
        yield from (Attempt(place, fields) for place, fields in entries)
        if len(entries) < _BATCH:
            return
        last = f"({entries[-1][0]}"
