"""A batch is staged chunk by chunk: how often it waits for the disk."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest
import redis

from core.batches.batch import BatchRequest
from core.batches.plans import StoredBatch
from core.redis.async_scripts import AsyncScripts
from core.redis.async_store import AsyncJobStore
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.redis.transitions import ScriptCall
from core.settings.settings import WORKER, Settings
from core.storage.object_store import ObjectStore
from service.batches.checks import CheckedItem, CheckedItems
from service.batches.options import Options
from service.batches.spool import Spool
from service.batches.staging import Staging
from service.intake.storage_threads import ThreadPool
from stack.servers.valkey import Valkey
from tests.contract.batches import B, items, load

#: Bytes of the prompt of an item that makes a chunk of few.
LONG = 10_000
_END = 1_750_086_400.0


class Counted(AsyncScripts):
    """Runs scripts, and notes which."""

    ran: list[str]

    async def run(self, order: ScriptCall) -> Any:
        """Note a script that waits for the disk, and run it."""
        assert order.durable
        self.ran.append(order.script)
        return await super().run(order)


class Desk:
    """Accepts batches as the service does, on a server of its own."""

    def __init__(self, settings: Settings, admin: "redis.Redis") -> None:
        self._settings = settings
        self._client = connect(settings)
        self.store = JobStore(self._client, settings)
        self._admin = admin
        self.ran: list[str] = []

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def accept(self, count: int, **fields: Any) -> StoredBatch:
        """Accept a batch of so many items."""

        async def run(checked: CheckedItems) -> StoredBatch:
            scripts = Counted(self.store.scripts, self._settings)
            scripts.ran = self.ran
            try:
                objects, threads = ObjectStore("pictures"), ThreadPool(1)
                jobs = AsyncJobStore(self.store, scripts)
                request = BatchRequest(tenant="demo", created_at=1_750_000_000.0)
                return await Staging(self.store, jobs, objects, threads).accept(
                    checked, request, None
                )
            finally:
                await scripts.close()

        with closing(Spool()) as spool:
            return asyncio.run(run(self._checked(spool, count, fields)))

    def confirmations(self) -> int:
        """Return how often the server was asked for an fsync so far."""
        stats = self._admin.info("commandstats")
        return int(stats.get("cmdstat_waitaof", {"calls": 0})["calls"])

    def _checked(self, spool: Spool, count: int, fields: Mapping[str, Any]) -> CheckedItems:
        checked = CheckedItems(B, "demo", Options(), spool)
        names = [f"a{number:04}" for number in range(count)]
        for name, text in zip(names, items(self.store, *names, **fields), strict=True):
            at, size = spool.append(text.encode())
            checked.items.append(CheckedItem(name, at, size, (), _END))  # type: ignore[arg-type]  # no UUID
        return checked


@pytest.fixture
def desk(
    own_valkey: Valkey, admin: "redis.Redis", environment: Mapping[str, str]
) -> Iterator[Desk]:
    """Return a desk whose server nobody else uses."""
    variables = {**environment, "FLUXRELAY_REDIS_URL": own_valkey.url}
    with closing(Desk(Settings.from_env(variables, WORKER), admin)) as made:
        # Else the first call of a script, in whatever test, would go to Redis twice.
        for text in made.store.scripts._sources.values():  # noqa: SLF001 - no one else loads all
            admin.script_load(text)
        yield made


@pytest.mark.parametrize(
    ("count", "fields", "chunks"),
    [
        (1, {}, 1),
        (200, {}, 1),
        (201, {}, 2),
        (450, {}, 3),
        (100, {"input": {"prompt": "p" * LONG}}, 2),
    ],
)
def test_a_batch_waits_for_the_disk_once_per_chunk(
    desk: Desk, count: int, fields: dict[str, Any], chunks: int
) -> None:
    """A chunk is 200 items or 512 KiB, one script and one fsync; the commit is one more."""
    before = desk.confirmations()

    stored = desk.accept(count, **fields)

    assert desk.ran == ["stage_items"] * chunks + ["commit_batch"]
    assert desk.confirmations() - before == chunks + 1
    assert stored.fresh
    assert load(desk.store).total == count
