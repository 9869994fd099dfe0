"""Puts a batch's files into S3 and its items into Redis, chunk by chunk, and then accepts it.

Nothing of it is visible before the commit, which is one script. If something fails before, what is
staged is dropped and the files are deleted; if this process dies, the items expire, and a scheduled
clean-up deletes the files.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from core.batches.batch import BatchId, BatchRequest
from core.batches.plans import STAGED_SECONDS, BatchPlans, NewBatch, StoredBatch
from core.errors import CannotSendAgain, StoreUnavailable
from core.jobs.job import JobId
from core.jobs.status import Step
from core.redis.async_store import AsyncJobStore
from core.redis.change import Idempotency
from core.redis.store import JobStore
from core.storage.object_store import ObjectStore
from service.batches.checks import CheckedItem, CheckedItems
from service.intake.storage_threads import ThreadPool

#: Most items, and most bytes of their JSON, that are staged by one script and one fsync.
_CHUNK: Final = 200
_CHUNK_BYTES: Final = 512 * 1024
#: Files of one batch that are stored at a time.
_UPLOADS: Final = 8
#: After this part of the time for which staged items are kept, a batch is no longer committed.
_LATEST: Final = 0.8


@dataclass(frozen=True, slots=True)
class Staging:
    """Stages and commits batches."""

    store: JobStore
    async_store: AsyncJobStore
    objects: ObjectStore
    #: Runs calls to S3.
    image_threads: ThreadPool

    async def accept(
        self, checked: CheckedItems, request: BatchRequest, idempotency: Idempotency | None
    ) -> StoredBatch:
        """Stage all items, and commit the batch; on disk on return.

        Raises:
            IdempotencyConflict: The key was used with another body.
            BacklogFull: The backlog has no room for it.
            CannotSendAgain: The batch to retry is not kept.
            StoreUnavailable: The outcome is unknown.
            StorageUnavailable: It was not accepted.
        """
        #: Jobs whose files may be stored.
        stored: list[JobId] = []
        try:
            accepted = await self._accept(checked, request, idempotency, stored)
        except BaseException:
            await self._forget(checked.batch_id, stored)
            raise
        # The batch itself is known already if its commit was repeated, because the reply was lost.
        if accepted.id != checked.batch_id:
            await self._delete(stored)
        return accepted

    async def _accept(
        self,
        checked: CheckedItems,
        request: BatchRequest,
        idempotency: Idempotency | None,
        stored: list[JobId],
    ) -> StoredBatch:
        started, staged = time.monotonic(), 0
        plans = BatchPlans(self.store)
        for chunk in _chunks(checked.items):
            await self._store_files([item for item in chunk if item.files], stored)
            texts = [checked.job(item) for item in chunk]
            stage = plans.stage(checked.batch_id, staged, texts, request, idempotency)
            if (now_staged := await self.async_store.execute(stage)) is None:
                break  # another request came first: the commit tells which
            staged = now_staged
        if time.monotonic() - started > _LATEST * STAGED_SECONDS:
            raise StoreUnavailable("the batch's files took too long to store")
        new = NewBatch(
            checked.batch_id,
            request,
            len(checked.items),
            checked.last_deadline,
            stored,
            idempotency,
        )
        return await self.async_store.execute(plans.commit(new))

    async def _store_files(self, items: Sequence[CheckedItem], stored: list[JobId]) -> None:
        if not items:
            return
        jobs, until = [item.job_id for item in items], time.time() + STAGED_SECONDS
        stored += jobs
        await self.image_threads.run(self._guard, jobs, until)
        left = iter(items)
        uploads = (self._upload(left) for _ in range(_UPLOADS))
        for outcome in await asyncio.gather(*uploads, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _upload(self, items: Iterator[CheckedItem]) -> None:
        for item in items:
            await self.image_threads.run(self._put, item)

    def _put(self, item: CheckedItem) -> None:
        for key, one in item.files:
            if isinstance(one, str):
                if not self.objects.copy(one, key):
                    raise CannotSendAgain("An input of the batch is no longer kept")
            else:
                self.objects.put(key, one.file, sha256=one.sha256, content_type=one.content_type)

    def _guard(self, jobs: Sequence[JobId], until: float) -> None:
        """Schedule the deletion of these jobs' files, unless the batch is committed before."""
        for at in range(0, len(jobs), _CHUNK):
            due = {f"{Step.CLEANUP}:{job_id}": until for job_id in jobs[at : at + _CHUNK]}
            self.store.read("zadd", "due", due)

    async def _forget(self, batch_id: BatchId, jobs: Sequence[JobId]) -> None:
        """Forget a batch that was broken off; whatever cannot be forgotten now expires."""
        with suppress(StoreUnavailable):
            if await self.async_store.execute(BatchPlans(self.store).drop(batch_id)):
                await self._delete(jobs)

    async def _delete(self, jobs: Sequence[JobId]) -> None:
        """Have the files of a batch that is not accepted deleted now."""
        if jobs:
            await self.image_threads.run(self._guard, jobs, time.time())


def _chunks(items: Sequence[CheckedItem]) -> Iterator[list[CheckedItem]]:
    chunk: list[CheckedItem] = []
    size = 0
    for item in items:
        if chunk and (len(chunk) == _CHUNK or size + item.size > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += item.size
    if chunk:
        yield chunk
