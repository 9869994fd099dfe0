"""Changes of jobs for an event loop: the plans of `core.redis.transitions`, awaited."""

from typing import TypeVar

from core.jobs.job import JobId, JobRequest
from core.redis.async_scripts import LoopScripts
from core.redis.change import Idempotency, Stored
from core.redis.transitions import Plan, Plans

_Result = TypeVar("_Result")


class AwaitedStore:
    """Changes jobs without holding a thread meanwhile.

    Args:
        plans: What is asked of Redis.
        scripts: Asks it.
    """

    def __init__(self, plans: Plans, scripts: LoopScripts) -> None:
        self.plans = plans
        self.scripts = scripts

    async def carry_out(self, plan: Plan[_Result]) -> _Result:
        """Do what a plan asks for, one call after the other; return what it comes to.

        Raises:
            StoreUnavailable: Redis is away, or cannot keep a promise.
        """
        try:
            order = next(plan)
            while True:
                order = plan.send(await self.scripts.run(order))
        except StopIteration as end:
            result: _Result = end.value
            return result

    async def accept(
        self, job_id: JobId, request: JobRequest, idempotency: Idempotency | None = None
    ) -> Stored:
        """Accept a job as `JobStore.accept` does; when this returns, it is on disk."""
        return await self.carry_out(self.plans.accepting(job_id, request, idempotency))

    async def known(self, tenant: str, idempotency: Idempotency) -> Stored | None:
        """Return the job that a key brought before, as `JobStore.known` does."""
        return await self.carry_out(self.plans.knowing(tenant, idempotency))
