"""Cancels many jobs, each as `core.operations.cancellation` does."""

import asyncio
from collections.abc import Sequence
from typing import Final

from core.jobs.job import JobId
from core.operations.cancellation import Outcome, prepare_cancel
from core.redis.async_store import AsyncJobStore

#: Cancels under way at a time: they share fsyncs, and leave room for others.
_AT_A_TIME: Final = 100


async def cancel_all(store: AsyncJobStore, jobs: Sequence[JobId]) -> int:
    """Cancel jobs, and return how many; the others had moved on. Safe to repeat.

    If it stops halfway, the jobs so far are canceled, and their ends are on disk.

    Raises:
        StoreUnavailable: The outcome is unknown for some; cancel them again.
    """
    canceled = 0
    for first in range(0, len(jobs), _AT_A_TIME):
        some = jobs[first : first + _AT_A_TIME]
        cancels = (store.execute(prepare_cancel(store.transitions, job)) for job in some)
        outcomes = await asyncio.gather(*cancels)
        canceled += outcomes.count(Outcome.CANCELED)
    return canceled
