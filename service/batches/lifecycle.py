"""Cancels and retries batches."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from core.batches.batch import Batch, BatchId, BatchStatus
from core.batches.plans import BatchPlans, StoredBatch
from core.errors import CannotSendAgain
from core.jobs.failures import DEAD_LETTER
from core.jobs.job import Job, JobId
from core.jobs.job_ids import created_at_of, new_job_id
from core.jobs.status import Status
from core.operations.cancellation import prepare_cancel
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

#: Jobs of a batch that are canceled at a time; they share round trips and fsyncs.
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
        process dies now. Then each of its jobs is canceled.

        Raises:
            StoreUnavailable: Some may not be canceled; repeat it.
        """
        if batch.status is not BatchStatus.RUNNING:
            return
        plans = BatchPlans(self.store)
        await self.async_store.execute(plans.cancel_staged(batch.id))
        jobs = await self.async_store.execute(plans.job_ids(batch.id))
        left = iter(jobs)
        workers = (self._cancel_some(left) for _ in range(min(_AT_ONCE, len(jobs))))
        for outcome in await asyncio.gather(*workers, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _cancel_some(self, jobs: Iterator[JobId]) -> None:
        for job_id in jobs:
            await self.async_store.execute(prepare_cancel(self.store, job_id))

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
        if batch.retried_as:
            again = await self.async_store.execute(BatchPlans(self.store).load(batch.retried_as))
            if again:
                return StoredBatch(again.id, again)
        spool = Spool()
        try:
            checked = await self.threads.run(self._failed_items, batch, spool)
            if not checked.items:
                raise CannotSendAgain("No item of the batch failed in a way that can be retried")
            now = round(self.store.now(), 3)
            request = replace(batch.request, retry_of=batch.id, created_at=now)
            return await self.staging.accept(checked, request, None)
        finally:
            spool.close()

    def _failed_items(self, batch: Batch, spool: Spool) -> CheckedItems:
        checked = CheckedItems(BatchId(new_job_id()), batch.request.tenant, Options(), spool)
        plans = BatchPlans(self.store)
        jobs = iter(self.store.execute(plans.job_ids(batch.id)))
        while some := list(islice(jobs, _AT_ONCE)):
            states = self.store.execute(plans.items(some))
            for job_id, state in zip(some, states, strict=True):
                job = self.store.load(job_id) if state["status"] == Status.FAILED else None
                if job and not job.retried_as and _has_its_inputs(job):
                    self._add(checked, job)
        return checked

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
