"""Cancels and retries batches."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.batches.batch import Batch, BatchId, BatchStatus
from core.batches.plans import BatchPlans, StoredBatch
from core.errors import CannotSendAgain
from core.jobs.failures import DEAD_LETTER
from core.jobs.job import Job, JobId
from core.jobs.job_ids import created_at_of, new_job_id
from core.jobs.status import Status, predecessors
from core.operations.cancel_many import cancel_all
from core.operations.job_lists import JobFilter, JobLists
from core.redis.async_store import AsyncJobStore
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_keys import INPUT_PREFIX
from core.whole_json import whole_json
from service.batches.checks import CheckedItem, CheckedItems, StoredFile
from service.batches.options import Options
from service.batches.spool import Spool
from service.batches.staging import Staging
from service.intake.storage_threads import ThreadPool

#: Jobs of a batch that are looked at by one call of a thread.
_AT_ONCE: Final = 128


@dataclass(frozen=True, slots=True)
class BatchLifecycle:
    """Changes accepted batches for their callers."""

    settings: Settings
    store: JobStore
    async_store: AsyncJobStore
    staging: Staging
    #: Read jobs, which blocks.
    threads: ThreadPool

    async def cancel(self, batch: Batch) -> None:
        """Cancel what can be; on disk on return. Safe to repeat.

        First the batch is marked, so that items which are no jobs yet end as canceled even if this
        process dies now. Then each of its jobs that can be is canceled, so a repetition that finds
        none is cheap.

        Raises:
            StoreUnavailable: Some may not be canceled; repeat it.
        """
        if batch.status is not BatchStatus.RUNNING:
            return
        plans = BatchPlans(self.store)
        await self.async_store.execute(plans.cancel_staged(batch.id))
        wanted = JobFilter(
            tenant=batch.request.tenant, statuses=predecessors(Status.CANCELED), batch=batch.id
        )
        await cancel_all(self.async_store, await self.threads.run(self._ids, wanted))
        # A write behind the ends of all jobs that another request may have canceled: once it is on
        # disk, they are.
        await self.async_store.execute(plans.cancel_staged(batch.id))

    def _ids(self, wanted: JobFilter) -> list[JobId]:
        return list(JobLists(self.store).ids(wanted))

    async def retry(self, batch: Batch) -> StoredBatch:
        """Make a new batch of the items that failed.

        Repeated and concurrent retries return the same batch. An item whose inputs are no longer
        kept (the provider refused it), or that was retried as a single job, is left out.

        Raises:
            CannotSendAgain: The batch runs, or nothing in it can be retried.
            BacklogFull: The backlog has no room for it.
            StoreUnavailable: The outcome is unknown; try again.
            StorageUnavailable: It was not accepted; try again.
        """
        if batch.status is BatchStatus.RUNNING or batch.status is BatchStatus.ENDED:
            raise CannotSendAgain("The batch runs; what failed in it can be retried when it ends")
        spool = Spool()
        try:
            checked = CheckedItems(BatchId(new_job_id()), batch.request.tenant, Options(), spool)
            jobs = await self.async_store.execute(BatchPlans(self.store).job_ids(batch.id))
            for at in range(0, len(jobs), _AT_ONCE):
                # Looked at again and again: another request may retry it meanwhile.
                if again := await self._retried(batch.id):
                    return again
                await self.threads.run(self._add_failed, checked, jobs[at : at + _AT_ONCE])
            if not checked.items:
                raise CannotSendAgain("No item of the batch failed in a way that can be retried")
            now = round(self.store.now(), 3)
            request = replace(batch.request, retry_of=batch.id, created_at=now)
            return await self.staging.accept(checked, request, None)
        finally:
            spool.close()

    async def _retried(self, batch_id: BatchId) -> StoredBatch | None:
        """Return the batch that retries what failed in another one, if there is one by now."""
        plans = BatchPlans(self.store)
        batch = await self.async_store.execute(plans.load(batch_id))
        if batch is None or batch.retried_as is None:
            return None
        again = await self.async_store.execute(plans.load(batch.retried_as))
        return StoredBatch(again.id, again) if again else None

    def _add_failed(self, checked: CheckedItems, jobs: Sequence[JobId]) -> None:
        """Add an item for each of these jobs that failed and can be retried."""
        states = self.store.execute(BatchPlans(self.store).items(jobs))
        for job_id, state in zip(jobs, states, strict=True):
            job = self.store.load(job_id) if state["status"] == Status.FAILED else None
            if job and not job.retried_as and _has_its_inputs(job):
                self._add(checked, job)

    def _add(self, checked: CheckedItems, job: Job) -> None:
        job_id, now = new_job_id(), self.store.now()
        keys = {place: f"{INPUT_PREFIX}{job_id}/{place}" for place in job.request.input_keys}
        request = replace(
            job.request,
            batch=checked.batch_id,
            input_keys=keys,
            retry_of=job.id,
            created_at=created_at_of(job_id),
            deadline_at=round(now + self.settings.deadline_seconds(job.request.model), 3),
        )
        text = whole_json(self.store.new_job(job_id, request)).encode()
        at, size = checked.jobs.append(text)
        files = tuple(StoredFile(keys[place], old) for place, old in job.request.input_keys.items())
        checked.items.append(CheckedItem(job_id, at, size, files, request.deadline_at))


def _has_its_inputs(job: Job) -> bool:
    """Return whether a failed job's inputs are kept, if it has any."""
    return not job.request.input_keys or (job.error or {}).get("code") in DEAD_LETTER
