"""Cancel and retry of an accepted batch: what a repetition costs, and who wins."""

from collections.abc import Awaitable, Callable
from typing import Any

from core.batches.batch import BatchId, BatchStatus
from core.batches.plans import BatchPlans
from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import Status
from core.redis.change import Change
from tests.contract.batch_desk import Desk
from tests.contract.batches import B, accept, commit, load, stage, sweep

OTHER = BatchId("01a1ff02-1be0-7c55-a3d1-6f0b52c8e915")
#: Jobs of a batch, and those that a retry looks at before it looks again at the batch.
MANY, SOME = 300, 128


def expanded(desk: Desk) -> list[JobId]:
    """Return the jobs of a batch, all of which are queued."""
    desk.admin.set("pool:default:paused", "a test")
    accept(desk.store, *(f"a{number:04}" for number in range(MANY)))
    while sweep(desk.store)["more"]:
        pass
    jobs = desk.store.execute(BatchPlans(desk.store).job_ids(B))
    assert len(jobs) == MANY
    return jobs


def test_a_repeated_cancel_is_cheap(desk: Desk) -> None:
    """The first one cancels each job; those that follow only look whether any is left."""
    first, *rest = expanded(desk)
    assert desk.store.move(first, Status.STORING)  # so the batch goes on
    batch = load(desk.store)
    desk.run(lambda one: one.cancel(batch))
    assert desk.ran.count("transition") == len(rest)

    before = desk.calls("evalsha")
    desk.run(lambda one: one.cancel(batch))

    assert desk.calls("evalsha") - before == 3  # the mark, the list, and the write that is awaited
    assert desk.ran.count("transition") == len(rest)


def test_a_cancel_leaves_alone_what_has_ended_or_is_being_stored(desk: Desk) -> None:
    """Only jobs that can be canceled are asked to."""
    first, second, *rest = expanded(desk)
    desk.store.fail(first, FailureCode.LOST, "for the test")
    assert desk.store.move(second, Status.STORING)

    desk.run(lambda one: one.cancel(load(desk.store)))

    assert desk.ran.count("transition") == len(rest)
    counts = load(desk.store).counts
    assert (counts[Status.FAILED], counts[Status.STORING]) == (1, 1)
    assert counts[Status.CANCELED] == len(rest)


def test_a_retry_sees_early_that_another_one_has_won(desk: Desk) -> None:
    """It loads no further jobs, stages nothing, and returns the batch that won."""
    for job in expanded(desk):
        desk.store.fail(job, FailureCode.LOST, "for the test")
    plans = BatchPlans(desk.store)
    change = plans.change(B, BatchStatus.ENDED, Change(), BatchStatus.COMPLETED)
    assert desk.store.execute(change)
    stage(desk.store, "x", batch=OTHER)
    assert commit(desk.store, 1, batch=OTHER).fresh

    async def overtaken(run: Callable[[], Awaitable[Any]]) -> Any:
        """Have another retry accepted while the first jobs are looked at."""
        reply = await run()
        desk.admin.hset(f"batch:{B}", "retried_as", OTHER)
        return reply

    desk.instead = {"read_batch": overtaken}
    before = desk.calls("hgetall")
    batch = load(desk.store)
    again = desk.run(lambda one: one.retry(batch))

    assert (again.id, again.fresh) == (OTHER, False)
    assert "stage_items" not in desk.ran
    assert desk.calls("hgetall") - before < 2 * SOME
