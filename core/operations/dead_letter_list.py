"""The list of dead letters: jobs that failed through no fault of their caller, dead callbacks.

It is read from sorted sets, to which the scripts add that end a job or give a callback up.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.batches.batch import Batch, BatchId
from core.batches.plans import BatchPlans
from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId
from core.redis.store import JobStore

#: What a letter is about: a job or its callback, or a batch whose callback was given up.
Record = Job | Batch
#: Most letters on one page.
MAX_PAGE_SIZE: Final = 100
#: A cursor as text: a time, and the letter's member of the sorted set.
CURSOR_PATTERN: Final = r"[0-9]{1,12}(?:\.[0-9]{1,12})?_[!-~][ -~]{0,300}"
_CURSOR: Final = re.compile(CURSOR_PATTERN)
#: Most letters read for one page; a filter may skip most of them.
_MOST_LOOKED_AT: Final = 1000
_BATCH: Final = 100


class Kind(StrEnum):
    """Kind of a dead letter; each comment says what happened."""

    JOB = "job"  # a job failed
    CALLBACK = "callback"  # the callback of a job was given up
    BATCH = "batch"  # the callback of a batch was given up


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One entry of the list."""

    kind: Kind
    at: float  # Unix time in seconds of the death
    about: Record

    @property
    def job(self) -> Job | None:
        """The job that it is about; None: it is about a batch."""
        return self.about if isinstance(self.about, Job) else None

    @property
    def batch(self) -> Batch | None:
        """The batch whose callback it is about; None: it is about a job."""
        return self.about if isinstance(self.about, Batch) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which dead letters to list; None: any."""

    tenant: str | None = None
    kind: Kind | None = None
    #: The job's failure code; a batch has none.
    code: FailureCode | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position behind a letter; it stays valid, because new letters are added at the end."""

    at: float
    #: Member of the sorted set.
    member: str

    def __str__(self) -> str:
        """Return the cursor as text."""
        return f"{self.at!r}_{self.member}"

    @property
    def kind(self) -> Kind:
        """Kind of the letter."""
        return Kind(self._letter[0])

    @property
    def record_id(self) -> str:
        """Id of the job or the batch."""
        return self._letter[2]

    @property
    def _letter(self) -> tuple[str, str, str]:
        # In the list of all tenants, their names stand before it.
        return self.member.rpartition(" ")[2].partition(":")

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Parse the text form of a cursor.

        Raises:
            ValueError: The text is not a cursor.
        """
        if not _CURSOR.fullmatch(text):
            raise ValueError(text)
        at, _, member = text.partition("_")
        return cls(float(at), member)


@dataclass(frozen=True, slots=True)
class Page:
    """Some dead letters, and where to continue; no cursor means that these were the last."""

    letters: tuple[DeadLetter, ...]
    cursor: Cursor | None


def read_page(
    store: JobStore, wanted: LetterFilter, limit: int, cursor: Cursor | None = None
) -> Page:
    """Return the oldest dead letters behind a cursor; see `DeadLetters.page`."""
    found: list[DeadLetter] = []
    for looked_at, place in enumerate(read_positions(store, wanted.tenant, cursor)):
        if len(found) == limit or looked_at == _MOST_LOOKED_AT:
            return Page(tuple(found), cursor)
        cursor = place
        letter = _letter(store, place, wanted)
        found += [letter] if letter else []
    return Page(tuple(found), None)


def read_positions(store: JobStore, tenant: str | None, cursor: Cursor | None) -> Iterator[Cursor]:
    """Yield every position behind a cursor, read a hundred at a time.

    Raises:
        StoreUnavailable: Redis is unreachable.
    """
    key = f"dead:{tenant}" if tenant else "dead"
    while True:
        places = _next_positions(store, key, cursor)
        yield from places
        if not places:
            return
        cursor = places[-1]


def read_record(store: JobStore, kind: Kind, record_id: str) -> Record | None:
    """Return what a letter of a kind is about; None if it is not kept (any more).

    Raises:
        StoreUnavailable: Redis is unreachable.
    """
    if kind is Kind.BATCH:
        return store.execute(BatchPlans(store).load(BatchId(record_id)))
    return store.load(JobId(record_id))


def _next_positions(store: JobStore, key: str, cursor: Cursor | None) -> list[Cursor]:
    """Return the next positions; equal times are ordered by member."""
    first = cursor.at if cursor else "-inf"
    offset = 0
    while True:
        members = store.read(
            "zrangebyscore", key, first, "+inf", start=offset, num=_BATCH, withscores=True
        )
        places = [Cursor(at, member) for member, at in members]
        if cursor:
            places = [one for one in places if (one.at, one.member) > (cursor.at, cursor.member)]
        if places or len(members) < _BATCH:
            return places
        offset += _BATCH


def _letter(store: JobStore, place: Cursor, wanted: LetterFilter) -> DeadLetter | None:
    """Return the letter at a position; None if filtered out or its record is gone."""
    if wanted.kind and place.kind is not wanted.kind:
        return None
    about = read_record(store, place.kind, place.record_id)
    if about is None or (wanted.code and _code(about) != wanted.code):
        return None
    return DeadLetter(place.kind, place.at, about)


def _code(about: Record) -> object:
    return (about.error or {}).get("code") if isinstance(about, Job) else None
