"""Many cancels at once: how many were canceled, and how many had moved on."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import redis

from core.jobs.job import JobId
from core.jobs.status import Status
from core.operations.cancel_many import cancel_all
from core.redis.async_scripts import AsyncScripts
from core.redis.async_store import AsyncJobStore
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from tests.contract.jobs import Clock, status_of
from tests.contract.listed_jobs import Listed


@pytest.fixture
def listed(
    store_with: Callable[..., JobStore], clock: Clock, redis_client: "redis.Redis"
) -> Listed:
    """Return an empty store whose pool is paused: a job moves only if the test moves it."""
    redis_client.set("pool:default:paused", "a test")
    return Listed(store_with(), clock)


def test_jobs_that_moved_on_are_not_counted(listed: Listed, environment: Mapping[str, str]) -> None:
    """Of jobs that were found, those that ended or are being stored by now are not canceled."""
    made = listed.jobs(250)
    moved = {made[0]: Status.FAILED, made[120]: Status.STORING, made[249]: Status.CANCELED}
    for job_id, status in moved.items():
        assert listed.store.move(job_id, status)
    gone = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")

    async def cancel() -> int:
        settings = Settings.from_env(environment, WORKER)
        scripts = AsyncScripts(listed.store.scripts, settings)
        try:
            return await cancel_all(AsyncJobStore(listed.store, scripts), [*made, gone])
        finally:
            await scripts.close()

    assert asyncio.run(cancel()) == 247
    left = {job_id: status_of(listed.store, job_id) for job_id in made}
    assert left == dict.fromkeys(made, Status.CANCELED) | moved
    assert asyncio.run(cancel()) == 0
