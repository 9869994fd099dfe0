"""Dead letters: jobs that failed through no fault of their caller, and callbacks given up.

Tenants list and retry them over HTTP, operators on the command line. A retry is a new job, so that
late webhooks of the old one cannot reach it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from core.errors import BacklogFull, CannotSendAgain
from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId, JobRequest
from core.jobs.job_ids import created_at_of, new_job_id
from core.jobs.status import TERMINAL, Status
from core.redis.change import Change
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_keys import INPUT_PREFIX
from core.storage.object_store import ObjectStore

#: Most letters on one page.
MAX_PAGE_SIZE: Final = 100
#: A cursor as text: a time, and the letter's member of the sorted set.
CURSOR_PATTERN: Final = r"[0-9]{1,12}(?:\.[0-9]{1,12})?_[!-~][ -~]{0,300}"
_CURSOR: Final = re.compile(CURSOR_PATTERN)
#: Most letters read for one page; a filter may skip most of them.
_MOST_LOOKED_AT: Final = 1000
_BATCH: Final = 100
#: Most callbacks that one request sends again.
MOST_REPLAYED: Final = 1000
#: Seconds after which copied inputs are deleted if their job is not accepted.
_INPUT_GUARD: Final = 900.0


class Kind(StrEnum):
    """Kind of a dead letter."""

    JOB = "job"
    CALLBACK = "callback"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One entry of the list."""

    kind: Kind
    at: float  # Unix time in seconds of the death
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which dead letters to list; None: any."""

    tenant: str | None = None
    kind: Kind | None = None
    #: The job's failure code.
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


class DeadLetters:
    """Lists dead letters and retries them.

    Args:
        store: Stores the jobs.
        objects: Stores their inputs.
        settings: Provide the deadline of new jobs.
    """

    def __init__(self, store: JobStore, objects: ObjectStore, settings: Settings) -> None:
        self._store = store
        self._objects = objects
        self._settings = settings

    def page(self, wanted: LetterFilter, limit: int, cursor: Cursor | None = None) -> Page:
        """Return the oldest dead letters behind a cursor.

        A page before the last may be shorter than `limit`, because the number of letters read is
        bounded.

        Raises:
            StoreUnavailable: Redis is unreachable.
        """
        found: list[DeadLetter] = []
        for looked_at, place in enumerate(self._positions(wanted.tenant, cursor)):
            if len(found) == limit or looked_at == _MOST_LOOKED_AT:
                return Page(tuple(found), cursor)
            cursor = place
            letter = self._letter(place, wanted)
            found += [letter] if letter else []
        return Page(tuple(found), None)

    def retry(self, job: Job) -> JobId:
        """Retry a failed job as a new job.

        First the inputs are copied, guarded by a scheduled clean-up in case we die. Then one script
        stores the new job, links it with the old one, and removes the dead letter.

        Returns:
            The new job; repeated and concurrent retries return the same one.

        Raises:
            CannotSendAgain: The job did not fail, or its inputs are gone.
            BacklogFull: The backlog has reached its limit.
            StoreUnavailable: The outcome is unknown; try again.
            StorageUnavailable: The outcome is unknown; try again.
        """
        if job.status is not Status.FAILED:
            raise CannotSendAgain(f"The job is {job.status}; only a failed job can be sent again")
        if again := self._sent_before(job):
            return again
        job_id = new_job_id(self._store.now())
        try:
            request = self._request(job, job_id)
            accepted = self._store.create(job_id, request)
        except (BacklogFull, CannotSendAgain):
            self._drop_inputs(job, job_id)
            # A concurrent retry won, and its success deleted the inputs.
            if again := self._sent_before(self._store.load(job.id)):
                return again
            raise
        if accepted != job_id:
            self._drop_inputs(job, job_id)
        return accepted

    def resend(self, job: Job) -> None:
        """Send the callback of an ended job again, whether it was delivered or given up.

        Raises:
            CannotSendAgain: The job has no callback, or has not ended.
            StoreUnavailable: The outcome is unknown; try again.
        """
        if not job.request.callback_url:
            raise CannotSendAgain("The job has no callback")
        if job.status not in TERMINAL:
            raise CannotSendAgain(f"The job is {job.status}; its callback is sent when it ends")
        if not self._resend(job.id, durable=True):
            raise CannotSendAgain("The job is no longer kept")

    def replay_callbacks(
        self, tenant: str, since: float, until: float | None = None
    ) -> tuple[int, bool]:
        """Send again a tenant's callbacks that were given up in a time; on return on disk.

        Args:
            tenant: Whose callbacks.
            since: Unix time in seconds, included.
            until: Unix time in seconds, not included; None: until now.

        Returns:
            How many are sent again, at most `MOST_REPLAYED`, and whether others are left.

        Raises:
            StoreUnavailable: The outcome is unknown; try again.
        """
        replayed: list[str] = []
        for place in self._positions(tenant, Cursor(since, "")):
            kind, _, job_id = place.member.partition(":")
            if until is not None and place.at >= until:
                break
            if kind != Kind.CALLBACK:
                continue
            if len(replayed) == MOST_REPLAYED:
                return self._made_durable(replayed), True
            if self._resend(job_id):
                replayed.append(job_id)
        return self._made_durable(replayed), False

    def dismiss(self, letter: DeadLetter) -> bool:
        """Remove a letter from the list; return False if it was not listed (any more).

        Raises:
            StoreUnavailable: Redis is unreachable.
        """
        payload = {"job": letter.job.id, "tenant": letter.job.request.tenant, "kind": letter.kind}
        return bool(self._store.scripts.run("dismiss", self._store.payload() | payload))

    def _resend(self, job_id: str, *, durable: bool = False) -> bool:
        """Make a callback owed again, or due now; return False if its job is gone."""
        payload = self._store.payload() | {"job": job_id, "ttl_owed": self._store.owed_ttl}
        return bool(self._store.scripts.run("resend", payload, durable=durable))

    def _made_durable(self, replayed: list[str]) -> int:
        """Wait until all of these are on disk: the fsync of one covers those before it."""
        if replayed:
            self._resend(replayed[-1], durable=True)
        return len(replayed)

    def _sent_before(self, job: Job | None) -> JobId | None:
        """Return the existing retry of a job, if it is kept; on return the link is on disk."""
        again = job and job.retried_as and self._store.load(job.retried_as)
        if not job or not again:
            return None
        # Rewritten so that the reply can wait for its fsync.
        change = Change(set={"retried_as": again.id})
        self._store.change(job.id, {Status.FAILED}, change, durable=True)
        return again.id

    def _positions(self, tenant: str | None, cursor: Cursor | None) -> Iterator[Cursor]:
        """Yield every position behind a cursor, read in batches."""
        key = f"dead:{tenant}" if tenant else "dead"
        while True:
            batch = self._batch(key, cursor)
            yield from batch
            if not batch:
                return
            cursor = batch[-1]

    def _batch(self, key: str, cursor: Cursor | None) -> list[Cursor]:
        """Return the next positions; equal times are ordered by member."""
        first = cursor.at if cursor else "-inf"
        offset = 0
        while True:
            members = self._store.read(
                "zrangebyscore", key, first, "+inf", start=offset, num=_BATCH, withscores=True
            )
            places = [Cursor(at, member) for member, at in members]
            if cursor:
                places = [
                    one for one in places if (one.at, one.member) > (cursor.at, cursor.member)
                ]
            if places or len(members) < _BATCH:
                return places
            offset += _BATCH

    def _letter(self, place: Cursor, wanted: LetterFilter) -> DeadLetter | None:
        """Return the letter at a position; None if filtered out or its record is gone."""
        kind, _, job_id = place.member.rpartition(" ")[2].partition(":")
        if wanted.kind and kind != wanted.kind:
            return None
        job = self._store.load(JobId(job_id))
        if job is None or (wanted.code and (job.error or {}).get("code") != wanted.code):
            return None
        return DeadLetter(Kind(kind), place.at, job)

    def _request(self, job: Job, job_id: JobId) -> JobRequest:
        keys: dict[str, str] = {}
        if job.request.input_keys:
            self._store.guard_inputs(job_id, self._store.now() + _INPUT_GUARD)
        for name, source in job.request.input_keys.items():
            keys[name] = f"{INPUT_PREFIX}{job_id}/{name}"
            if not self._objects.copy(source, keys[name]):
                raise CannotSendAgain(f"The job's input {name} is no longer kept")
        now = self._store.now()
        return replace(
            job.request,
            input_keys=keys,
            retry_of=job.id,
            # The batch has its job for this item; a retry is a job of its own.
            batch=None,
            custom_id=None,
            behind=False,
            created_at=created_at_of(job_id),
            deadline_at=round(now + self._settings.deadline_seconds(job.request.model), 3),
        )

    def _drop_inputs(self, job: Job, job_id: JobId) -> None:
        if job.request.input_keys:
            self._store.guard_inputs(job_id, self._store.now())
