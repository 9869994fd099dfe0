"""Batches to put into a store."""

from typing import Any

from core.batches.batch import Batch, BatchId, BatchRequest
from core.batches.plans import BatchPlans, NewBatch, StoredBatch
from core.jobs.job import JobId
from core.redis.change import Idempotency
from core.redis.store import JobStore
from core.whole_json import whole_json
from tests.contract.jobs import make_request

B = BatchId("01a1ff02-1be0-7c55-a3d1-6f0b52c8e914")


def items(store: JobStore, *names: str, batch: BatchId = B, **fields: Any) -> list[str]:
    """Return items, whose jobs have these ids, as they are staged."""
    return [
        whole_json(
            store.new_job(JobId(name), make_request(batch=batch, custom_id=f"c-{name}", **fields))
        )
        for name in names
    ]


def stage(store: JobStore, *names: str, batch: BatchId = B, **fields: Any) -> int:
    """Stage items as one chunk; return how many are staged."""
    staged = items(store, *names, batch=batch, **fields)
    count = store.execute(BatchPlans(store).stage(batch, 0, staged))
    assert count is not None
    return count


def commit(
    store: JobStore,
    total: int,
    *,
    batch: BatchId = B,
    guarded: tuple[str, ...] = (),
    idempotency: Idempotency | None = None,
    last_deadline: float = 1_750_086_400.0,
    **fields: Any,
) -> StoredBatch:
    """Commit a batch whose items are staged."""
    usual: dict[str, Any] = {"tenant": "demo", "created_at": 1_750_000_000.0}
    request = BatchRequest(**(usual | fields))
    jobs = [JobId(one) for one in guarded]
    new = NewBatch(batch, request, total, last_deadline, jobs, idempotency)
    return store.execute(BatchPlans(store).commit(new))


def accept(store: JobStore, *names: str, batch: BatchId = B, **fields: Any) -> None:
    """Have a batch accepted, with an item for each name of a job."""
    stage(store, *names, batch=batch)
    assert commit(store, len(names), batch=batch, **fields).fresh


def load(store: JobStore, batch: BatchId = B) -> Batch:
    """Return a batch as it stands."""
    found = store.execute(BatchPlans(store).load(batch))
    assert found is not None
    return found


def sweep(store: JobStore) -> dict[str, Any]:
    """Do one round of sweeping."""
    store.take_sweep_lease("token", 60)
    report = store.sweep("token", 60)
    assert report is not None
    return report
