"""Accepts, cancels and retries batches as the service does, and counts what that takes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import closing
from functools import partial
from typing import Any, TypeVar

import redis

from core.batches.batch import BatchId, BatchRequest
from core.batches.plans import StoredBatch
from core.errors import StorageUnavailable
from core.jobs.job import JobId
from core.redis.async_scripts import AsyncScripts
from core.redis.async_store import AsyncJobStore
from core.redis.change import Idempotency
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.redis.transitions import ScriptCall
from core.settings.settings import Settings
from core.storage.object_store import ObjectStore
from service.batches.checks import CheckedItem, CheckedItems, StoredFile
from service.batches.lifecycle import BatchLifecycle
from service.batches.options import Options
from service.batches.spool import Spool
from service.batches.staging import Staging
from service.intake.storage_threads import ThreadPool
from tests.contract.batches import B, items

_END = 1_750_086_400.0
_Result = TypeVar("_Result")
#: Runs a script, or does something else.
Instead = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


class Counted(AsyncScripts):
    """Runs scripts, and notes which."""

    ran: list[str]
    #: What happens instead of a script, by the script's name.
    instead: dict[str, Instead]

    async def run(self, order: ScriptCall) -> Any:
        """Note a script, and run it or what happens instead."""
        self.ran.append(order.script)
        run = partial(super().run, order)
        return await (self.instead[order.script](run) if order.script in self.instead else run())


class Copies(ObjectStore):
    """A bucket in which files are copied, until it is away."""

    def __init__(self, left: int) -> None:
        self._left = left

    def copy(self, _source: str, _key: str) -> bool:
        """Copy a file, if that works any more.

        Raises:
            StorageUnavailable: The bucket is away.
        """
        self._left -= 1
        if self._left < 0:
            raise StorageUnavailable("S3 is away")
        return True


class Desk:
    """Accepts batches as the service does, on a server of its own."""

    #: Number of items, from the first on, that have a file.
    with_files = 0
    #: How many files can be copied.
    copies = 10_000
    retry_of: BatchId | None = None
    idempotency: Idempotency | None = None

    def __init__(self, settings: Settings, admin: "redis.Redis") -> None:
        self._settings = settings
        self._client = connect(settings)
        self.store = JobStore(self._client, settings)
        self.admin = admin
        self.ran: list[str] = []
        self.instead: dict[str, Instead] = {}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def accept(self, count: int, **fields: Any) -> StoredBatch:
        """Accept a batch of so many items."""
        request = BatchRequest(tenant="demo", created_at=1_750_000_000.0, retry_of=self.retry_of)
        with closing(Spool()) as spool:
            checked = self._checked(spool, count, fields)
            return self.run(lambda one: one.staging.accept(checked, request, self.idempotency))

    def run(self, act: Callable[[BatchLifecycle], Coroutine[Any, Any, _Result]]) -> _Result:
        """Act on batches as the service does; the scripts that run are noted."""

        async def run() -> _Result:
            scripts = Counted(self.store.scripts, self._settings)
            scripts.ran, scripts.instead = self.ran, self.instead
            objects, threads = Copies(self.copies), ThreadPool(1)
            jobs = AsyncJobStore(self.store, scripts)
            staging = Staging(self.store, jobs, objects, threads)
            try:
                return await act(BatchLifecycle(self._settings, self.store, jobs, staging, threads))
            finally:
                await scripts.close()

        return asyncio.run(run())

    def calls(self, command: str) -> int:
        """Return how often the server has run a command so far."""
        stats = self.admin.info("commandstats")
        return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])

    def _checked(self, spool: Spool, count: int, fields: Mapping[str, Any]) -> CheckedItems:
        checked = CheckedItems(B, "demo", Options(), spool)
        names = [f"a{number:04}" for number in range(count)]
        for name, text in zip(names, items(self.store, *names, **fields), strict=True):
            at, size = spool.append(text.encode())
            files = (StoredFile(f"_inputs/{name}/a", "_inputs/old/a"),)
            has_files = len(checked.items) < self.with_files
            item = CheckedItem(JobId(name), at, size, files if has_files else (), _END)
            checked.items.append(item)
        return checked

    def left(self) -> set[str]:
        """Return what Redis holds of batches that were not accepted."""
        keys = {str(key) for key in self.admin.scan_iter("batch:*:staged")}
        keys |= {str(one) for one in self.admin.zrange("staging", 0, -1)}
        return keys | {str(name) for name in self.admin.hkeys("staging:bytes")} - {"total"}

    def deleted(self) -> set[str]:
        """Return the jobs whose files are to be deleted now."""
        due = self.admin.zrangebyscore("due", 0, time.time())
        return {str(one).partition(":")[2] for one in due if str(one).startswith("cleanup:")}


def load_scripts(desk: Desk) -> None:
    """Have the server know all scripts: else the first call of one would go to it twice."""
    for text in desk.store.scripts._sources.values():  # noqa: SLF001 - no one else loads all
        desk.admin.script_load(text)
