"""Dead letters: jobs that failed without their caller's fault, and callbacks that were given up.

They are listed, and sent again, by their tenant over HTTP and by the operator on the command line.
A job is sent again as a new job, for late webhooks of the old one must not reach it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from uuid_utils import uuid7

from core.errors import BacklogFull, CannotSendAgain
from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId, JobRequest
from core.jobs.status import TERMINAL, Status
from core.redis.change import Change
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_keys import INPUT_PREFIX
from core.storage.object_store import ObjectStore

#: Letters on one page.
MAX_PAGE_SIZE: Final = 100
#: A cursor as text: a moment, and a letter as it stands in its list.
CURSOR_PATTERN: Final = r"[0-9]{1,12}(?:\.[0-9]{1,12})?_[!-~][ -~]{0,300}"
_CURSOR: Final = re.compile(CURSOR_PATTERN)
#: Letters that are looked at for one page; a filter may leave out most of them.
_MOST_LOOKED_AT: Final = 1000
_BATCH: Final = 100
#: Seconds that copied inputs wait for their job to be accepted before they are deleted.
_INPUT_GUARD: Final = 900.0


class Kind(StrEnum):
    """What is dead."""

    JOB = "job"
    CALLBACK = "callback"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One entry of the lists."""

    kind: Kind
    at: float  # Unix time in seconds since when it stands there
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Which dead letters are asked for; None: any."""

    tenant: str | None = None
    kind: Kind | None = None
    #: How the job failed.
    code: FailureCode | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place behind a letter; new letters come behind it, so it stays good."""

    at: float
    #: As it stands in the sorted set.
    member: str

    def __str__(self) -> str:
        """Return it as text, to be given back."""
        return f"{self.at!r}_{self.member}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Read back what `str` wrote.

        Raises:
            ValueError: It is no such text.
        """
        if not _CURSOR.fullmatch(text):
            raise ValueError(text)
        at, _, member = text.partition("_")
        return cls(float(at), member)


@dataclass(frozen=True, slots=True)
class Page:
    """Some dead letters, and where to go on; no cursor: these were the last."""

    letters: tuple[DeadLetter, ...]
    cursor: Cursor | None


class DeadLetters:
    """Lists dead letters and sends them again.

    Args:
        store: Where jobs are.
        objects: Where their inputs are.
        settings: The deadline of new jobs.
    """

    def __init__(self, store: JobStore, objects: ObjectStore, settings: Settings) -> None:
        self._store = store
        self._objects = objects
        self._deadline = settings.job_deadline_seconds

    def page(self, wanted: LetterFilter, limit: int, cursor: Cursor | None = None) -> Page:
        """Return the oldest dead letters behind a cursor.

        A page may be shorter than `limit` before the last one: only so many letters are looked at.

        Raises:
            StoreUnavailable: Redis is away.
        """
        found: list[DeadLetter] = []
        for looked_at, place in enumerate(self._places(wanted.tenant, cursor)):
            if len(found) == limit or looked_at == _MOST_LOOKED_AT:
                return Page(tuple(found), cursor)
            cursor = place
            letter = self._letter(place, wanted)
            found += [letter] if letter else []
        return Page(tuple(found), None)

    def retry(self, job: Job) -> JobId:
        """Send a failed job again.

        1. Copy its inputs, guarded by a clean-up in case we die before 2. 2. Store the new job,
        and in the same step note it with the old one, which leaves the list.

        Returns:
            The new job; the same one, however often and by how many it is asked for.

        Raises:
            CannotSendAgain: It did not fail, or its inputs are not kept any more.
            BacklogFull: As many jobs wait as may.
            StoreUnavailable: Nothing is promised; ask again.
            StorageUnavailable: Nothing is promised; ask again.
        """
        if job.status is not Status.FAILED:
            raise CannotSendAgain(f"The job is {job.status}; only a failed job can be sent again")
        if again := self._sent_before(job):
            return again
        job_id = JobId(str(uuid7()))
        try:
            request = self._request(job, job_id)
            accepted = self._store.create(job_id, request)
        except (BacklogFull, CannotSendAgain):
            self._drop_inputs(job, job_id)
            # Sent again by somebody else meanwhile, it needs its inputs no more.
            if again := self._sent_before(self._store.load(job.id)):
                return again
            raise
        if accepted != job_id:
            self._drop_inputs(job, job_id)
        return accepted

    def resend(self, job: Job) -> None:
        """Have the callback of an ended job sent again, whether it was delivered or given up.

        Raises:
            CannotSendAgain: The job has no callback, or has not ended.
            StoreUnavailable: Nothing is promised; ask again.
        """
        if not job.request.callback_url:
            raise CannotSendAgain("The job has no callback")
        if job.status not in TERMINAL:
            raise CannotSendAgain(f"The job is {job.status}; its callback is sent when it ends")
        payload = {"job": job.id, "ttl_owed": self._store.owed_ttl}
        if not self._store.scripts.run("resend", self._store.payload() | payload, durable=True):
            raise CannotSendAgain("The job is not kept any more")

    def dismiss(self, letter: DeadLetter) -> bool:
        """Take a letter off the list; False where it did not stand there (any more).

        Raises:
            StoreUnavailable: Redis is away.
        """
        payload = {"job": letter.job.id, "tenant": letter.job.request.tenant, "kind": letter.kind}
        return bool(self._store.scripts.run("dismiss", self._store.payload() | payload))

    def _sent_before(self, job: Job | None) -> JobId | None:
        """Return the job as which it was sent again, if that is kept; then it is on disk."""
        again = job and job.retried_as and self._store.load(job.retried_as)
        if not job or not again:
            return None
        # Written again, so that the answer can wait for it to be on disk.
        change = Change(set={"retried_as": again.id})
        self._store.change(job.id, {Status.FAILED}, change, durable=True)
        return again.id

    def _places(self, tenant: str | None, cursor: Cursor | None) -> Iterator[Cursor]:
        """Yield every place in a list behind a cursor, read in batches."""
        key = f"dead:{tenant}" if tenant else "dead"
        while True:
            batch = self._batch(key, cursor)
            yield from batch
            if not batch:
                return
            cursor = batch[-1]

    def _batch(self, key: str, cursor: Cursor | None) -> list[Cursor]:
        """Return the next places; those of the same moment are in the order of their members."""
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
        """Return the letter at a place, None where it is not wanted or its record is gone."""
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
                raise CannotSendAgain(f"The job's input {name} is not kept any more")
        now = self._store.now()
        return replace(
            job.request,
            input_keys=keys,
            retry_of=job.id,
            created_at=round(now, 3),
            deadline_at=round(now + self._deadline, 3),
        )

    def _drop_inputs(self, job: Job, job_id: JobId) -> None:
        if job.request.input_keys:
            self._store.guard_inputs(job_id, self._store.now())
