"""What is done with dead letters: they are sent again, or dismissed.

Tenants list and retry them over HTTP, operators on the command line. A retry is a new job, so that
late webhooks of the old one cannot reach it.
"""

from dataclasses import replace
from typing import Final

from core.batches.batch import Batch, BatchId, BatchStatus
from core.batches.plans import BatchPlans
from core.errors import BacklogFull, CannotSendAgain
from core.jobs.job import Job, JobId, JobRequest
from core.jobs.job_ids import created_at_of, new_job_id
from core.jobs.status import TERMINAL, CallbackState, Status
from core.operations.dead_letter_list import (
    Cursor,
    DeadLetter,
    Kind,
    LetterFilter,
    Page,
    Record,
    read_page,
    read_positions,
)
from core.redis.change import Change
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_keys import INPUT_PREFIX
from core.storage.object_store import ObjectStore

#: Most callbacks that one request sends again.
MOST_REPLAYED: Final = 1000
#: Seconds after which copied inputs are deleted if their job is not accepted.
_INPUT_GUARD: Final = 900.0


class DeadLetters:
    """Lists dead letters, sends them again, and dismisses them.

    Args:
        store: Stores the jobs and batches.
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
        return read_page(self._store, wanted, limit, cursor)

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

    def resend(self, owing: Record) -> None:
        """Send the callback of an ended job or batch again, whether delivered or given up.

        Raises:
            CannotSendAgain: It has no callback, has not ended, or its end is not to be told.
            StoreUnavailable: The outcome is unknown; try again.
        """
        of_batch = isinstance(owing, Batch)
        what = "batch" if of_batch else "job"
        if not owing.request.callback_url:
            raise CannotSendAgain(f"The {what} has no callback")
        if isinstance(owing, Batch) and owing.status is not BatchStatus.COMPLETED:
            raise CannotSendAgain("The batch runs; its callback is sent when it completes")
        if isinstance(owing, Job) and owing.status not in TERMINAL:
            raise CannotSendAgain(f"The job is {owing.status}; its callback is sent when it ends")
        if owing.callback_state is CallbackState.NONE:
            raise CannotSendAgain("Its caller chose not to be told of this end: callback.events")
        if not self._resend(owing.id, of_batch=of_batch, durable=True):
            raise CannotSendAgain(f"The {what} is no longer kept")

    def replay_callbacks(
        self, tenant: str, since: float, until: float | None = None
    ) -> tuple[int, bool]:
        """Send again a tenant's callbacks that were given up in a time; on return on disk.

        Args:
            tenant: Whose callbacks, of jobs and of batches.
            since: Unix time in seconds, included.
            until: Unix time in seconds, not included; None: until now.

        Returns:
            How many are sent again, at most `MOST_REPLAYED`, and whether others are left.

        Raises:
            StoreUnavailable: The outcome is unknown; try again.
        """
        replayed, last, more = 0, Cursor(since, ""), False
        for place in read_positions(self._store, tenant, last):
            if until is not None and place.at >= until:
                break
            kind, record_id = place.kind, place.record_id
            if kind is Kind.JOB:
                continue
            if replayed == MOST_REPLAYED:
                more = True
                break
            if self._resend(record_id, of_batch=kind is Kind.BATCH):
                replayed, last = replayed + 1, place
        if replayed:
            self._make_durable(last)
        return replayed, more

    def dismiss(self, letter: DeadLetter) -> bool:
        """Remove a letter from the list; return False if it was not listed (any more).

        Raises:
            StoreUnavailable: Redis is unreachable.
        """
        about = letter.about
        payload = {"id": about.id, "tenant": about.request.tenant, "kind": letter.kind}
        return bool(self._store.scripts.run("dismiss", self._store.payload() | payload))

    def _resend(self, record_id: str, *, of_batch: bool, durable: bool = False) -> bool:
        """Make a callback owed again, or due now; return False if its job or batch is gone."""
        if of_batch:
            plan = BatchPlans(self._store).resend(BatchId(record_id), durable=durable)
            return bool(self._store.execute(plan))
        payload = self._store.payload() | {"job": record_id, "ttl_owed": self._store.owed_ttl}
        return bool(self._store.scripts.run("resend", payload, durable=durable))

    def _make_durable(self, last: Cursor) -> None:
        """Wait until the last callback of a replay is on disk, and with it those before it.

        It is not sent again for that: a worker may have delivered it by now.
        """
        # Rewritten as it is, so that the reply can wait for its fsync.
        change = Change(add={"callback_before": 0})
        if last.kind is Kind.BATCH:
            batch_id, plans = BatchId(last.record_id), BatchPlans(self._store)
            plan = plans.change(batch_id, BatchStatus.COMPLETED, change, durable=True)
            self._store.execute(plan)
        else:
            self._store.change(JobId(last.record_id), TERMINAL, change, durable=True)

    def _sent_before(self, job: Job | None) -> JobId | None:
        """Return the existing retry of a job, if it is kept; on return the link is on disk."""
        again = job and job.retried_as and self._store.load(job.retried_as)
        if not job or not again:
            return None
        # Rewritten so that the reply can wait for its fsync.
        change = Change(set={"retried_as": again.id})
        self._store.change(job.id, {Status.FAILED}, change, durable=True)
        return again.id

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
