"""Job changes for an event loop: awaits the transitions of `core.redis.transitions`."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from core.jobs.job import Job, JobId, JobRequest
from core.redis.async_scripts import AsyncScripts
from core.redis.change import Idempotency, Stored
from core.redis.transitions import ScriptCall, Transition, Transitions, read_stored

_Result = TypeVar("_Result")


class AsyncJobStore:
    """Changes jobs without blocking a thread.

    Args:
        transitions: Makes the script calls.
        scripts: Runs them.
    """

    def __init__(self, transitions: Transitions, scripts: AsyncScripts) -> None:
        self.transitions = transitions
        self.scripts = scripts

    async def execute(self, plan: Transition[_Result]) -> _Result:
        """Run a transition's script calls one after the other; return its result.

        Raises:
            StoreUnavailable: Redis is unreachable, or cannot guarantee durability.
        """
        return await _carry_out(plan, self.scripts.run)

    async def look(self, plan: Transition[_Result]) -> _Result:
        """Run a plan's script calls, which only read and so wait for no fsync; return its result.

        Raises:
            StoreUnavailable: Redis is unreachable.
        """
        return await _carry_out(plan, self.scripts.look)

    async def accept(
        self, job_id: JobId, request: JobRequest, idempotency: Idempotency | None = None
    ) -> Stored:
        """Accept a job as `JobStore.accept` does; on return it is on disk."""
        return await self.execute(self.transitions.prepare_accept(job_id, request, idempotency))

    async def find_by_idempotency_key(self, tenant: str, idempotency: Idempotency) -> Stored | None:
        """Return the job of an idempotency key, as `JobStore.find_by_idempotency_key` does."""
        return await self.execute(self.transitions.prepare_lookup(tenant, idempotency))

    async def load(self, job_id: JobId) -> Job | None:
        """Return a job, as `JobStore.load` does."""
        return read_stored(job_id, await self.scripts.read_hash(f"job:{job_id}")).job


async def _carry_out(
    plan: Transition[_Result], run: Callable[[ScriptCall], Awaitable[Any]]
) -> _Result:
    try:
        order = next(plan)
        while True:
            order = plan.send(await run(order))
    except StopIteration as end:
        result: _Result = end.value
        return result
