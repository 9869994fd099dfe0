"""A batch is staged, committed and expanded: all of it or nothing, and each item once."""

from collections.abc import Callable

import pytest
import redis

from core.batches.batch import BatchId
from core.batches.plans import STAGED_SECONDS, BatchPlans
from core.errors import BacklogFull, IdempotencyConflict, StoreUnavailable
from core.jobs.job import JobId
from core.jobs.status import Status
from core.redis.change import Idempotency
from core.redis.store import JobStore
from tests.contract.batches import B, accept, commit, items, load, stage, sweep
from tests.contract.jobs import Clock, make_request

OTHER = BatchId("01a1ff02-1be0-7c55-a3d1-6f0b52c8e915")
KEY = Idempotency(key_hash="k", fingerprint="f")


@pytest.fixture
def store(store_with: Callable[..., JobStore]) -> JobStore:
    """Return a store with one slot, whose time the test sets."""
    return store_with(slots="1", max_backlog="500")


def names(count: int, first: str = "a") -> list[str]:
    """Return ids of jobs, in their order."""
    return [f"{first}{number:04}" for number in range(count)]


def test_what_is_staged_is_not_seen_and_is_forgotten(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """Before its commit a batch is no batch: nothing is due, and its items expire."""
    stage(store, "a", "b")
    clock.now += 10

    sweep(store)

    assert store.execute(BatchPlans(store).load(B)) is None
    assert store.load(JobId("a")) is None
    assert redis_client.zcard("due") == 0
    assert 0 < redis_client.ttl(f"batch:{B}:staged") <= STAGED_SECONDS


def test_what_is_committed_does_not_expire(store: JobStore, redis_client: "redis.Redis") -> None:
    """The items of an accepted batch stay until they are jobs."""
    accept(store, "a")

    assert redis_client.ttl(f"batch:{B}:staged") == -1


def test_a_batch_with_a_missing_chunk_is_not_accepted(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """Staged items that are gone are noticed by the next chunk, and by the commit."""
    plans = BatchPlans(store)
    stage(store, "a", "b")
    redis_client.delete(f"batch:{B}:staged")

    with pytest.raises(StoreUnavailable):
        store.execute(plans.stage(B, 2, items(store, "c")))
    with pytest.raises(StoreUnavailable):
        commit(store, 2)

    assert store.execute(plans.load(B)) is None


def test_what_dead_services_left_is_bounded(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """Over the limit, the batch that waited longest for its next chunk is dropped, and notices."""
    first, second, third = (BatchId(f"b{number}") for number in range(3))
    one = items(store, "a", batch=first)
    plans = BatchPlans(store, most_staged=5 * len(one[0]) // 2)

    def add(batch: BatchId, before: int) -> None:
        clock.now += 1
        assert store.execute(plans.stage(batch, before, one)) == before + 1

    add(first, 0)
    add(second, 0)
    add(first, 1)

    assert not redis_client.exists(f"batch:{second}:staged")
    with pytest.raises(StoreUnavailable):
        store.execute(plans.stage(second, 1, one))
    add(third, 0)
    assert not redis_client.exists(f"batch:{first}:staged")
    assert redis_client.hgetall("staging:bytes") == {
        third: f"{len(one[0])}",
        "total": f"{len(one[0])}",
    }
    add(third, 1)
    add(third, 2)  # alone, it may have more
    assert redis_client.llen(f"batch:{third}:staged") == 3


def test_accepted_items_are_never_dropped(store: JobStore, redis_client: "redis.Redis") -> None:
    """Once a batch is accepted, its items do not count towards the limit of staged ones."""
    accept(store, "a", "b")
    plans = BatchPlans(store, most_staged=1)

    for number in range(3):
        other = BatchId(f"b{number}")
        assert store.execute(plans.stage(other, 0, items(store, "c", batch=other))) == 1

    assert redis_client.llen(f"batch:{B}:staged") == 2
    assert redis_client.zrange("staging", 0, -1) == ["b2"]


def test_what_has_expired_counts_no_longer(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """Items that are gone by their time to live make room for others."""
    stage(store, "a")
    clock.now += STAGED_SECONDS + 1

    stage(store, "b", batch=OTHER)

    size = len(items(store, "b", batch=OTHER)[0])
    assert redis_client.hgetall("staging:bytes") == {OTHER: f"{size}", "total": f"{size}"}
    assert redis_client.zrange("staging", 0, -1) == [OTHER]


def test_each_item_becomes_one_job(store: JobStore, redis_client: "redis.Redis") -> None:
    """A sweep makes jobs like any other, behind single jobs, and counts them."""
    stage(store, "b", "a", behind=True)
    commit(store, 2)
    store.create(JobId("single"), make_request())

    sweep(store)

    assert load(store).counts == {**dict.fromkeys(Status, 0), Status.QUEUED: 2}
    job = store.load(JobId("a"))
    assert job
    assert (job.request.batch, job.request.custom_id) == (B, "c-a")
    assert redis_client.zscore("due", "deadline:a") == job.request.deadline_at
    assert redis_client.zrange(f"batch:{B}:jobs", 0, -1) == ["a", "b"]
    assert redis_client.get("staged") == "0"
    assert redis_client.zscore("backlog:any", "a") == 0.5
    assert sweep(store)["more"] is False


def test_batches_take_turns(store: JobStore, clock: Clock) -> None:
    """A round makes 200 jobs at most; a large batch does not hold up the next one."""
    accept(store, *names(350), batch=B)
    accept(store, *names(100, "b"), batch=OTHER)
    clock.now += 1

    assert sweep(store)["more"] is True
    assert (_made(store, B), _made(store, OTHER)) == (200, 0)
    clock.now += 1
    assert sweep(store)["more"] is True

    assert (_made(store, B), _made(store, OTHER)) == (300, 100)


def test_tenants_take_turns(store: JobStore, clock: Clock) -> None:
    """However many batches a tenant has, another one's is made jobs of after one round of them."""
    many = [BatchId(f"many-{number}") for number in range(2)]
    for number, batch in enumerate(many):
        accept(store, *names(200 - number, f"a{number}"), batch=batch)
    stage(store, *names(100, "b"), batch=OTHER, tenant="other")
    commit(store, 100, batch=OTHER, tenant="other")
    clock.now += 1

    sweep(store)
    assert [_made(store, one) for one in (*many, OTHER)] == [200, 0, 0]
    clock.now += 1
    sweep(store)

    assert [_made(store, one) for one in (*many, OTHER)] == [200, 100, 100]
    clock.now += 1
    assert sweep(store)["more"] is False
    assert _made(store, many[1]) == 199


def test_a_new_batch_does_not_change_its_tenant_s_turn(store: JobStore, clock: Clock) -> None:
    """A tenant that was due before stays before those that came later."""
    accept(store, *names(100), batch=B)
    clock.now += 1
    stage(store, *names(150, "b"), batch=OTHER, tenant="other")
    commit(store, 150, batch=OTHER, tenant="other")
    clock.now += 1
    accept(store, *names(100, "c"), batch=BatchId("third"))
    clock.now += 1

    sweep(store)

    assert [_made(store, one) for one in (B, BatchId("third"), OTHER)] == [100, 100, 0]


def _made(store: JobStore, batch: BatchId) -> int:
    return len(store.execute(BatchPlans(store).job_ids(batch)))


def test_the_commit_takes_over_the_files(store: JobStore, redis_client: "redis.Redis") -> None:
    """Files of an accepted batch are no longer deleted as those of nobody."""
    store.guard_inputs(JobId("a"), 1.0)
    store.guard_inputs(JobId("x"), 2.0)
    stage(store, "a")

    commit(store, 1, guarded=("a",))

    assert redis_client.zscore("due", "cleanup:a") is None
    assert redis_client.zscore("due", "cleanup:x") == 2.0


def test_one_batch_per_key(store: JobStore) -> None:
    """The same key is the first batch again, also if the commit itself is repeated."""
    stage(store, "a")
    first = commit(store, 1, idempotency=KEY)
    stage(store, "b", batch=OTHER)

    assert commit(store, 1, batch=OTHER, idempotency=KEY).id == B
    assert commit(store, 1, idempotency=KEY) == first._replace(fresh=False)
    with pytest.raises(IdempotencyConflict):
        commit(store, 1, batch=OTHER, idempotency=Idempotency(key_hash="k", fingerprint="g"))
    assert store.execute(BatchPlans(store).lookup("demo", KEY)) == first._replace(fresh=False)


def test_a_repeated_commit_changes_nothing(store: JobStore, redis_client: "redis.Redis") -> None:
    """Its reply was lost, and some items are jobs by now: it is the same batch."""
    accept(store, "a", "b")
    sweep(store)

    assert not commit(store, 2).fresh

    assert redis_client.get("staged") == "0"


def test_a_batch_counts_as_waiting_as_a_whole(store: JobStore) -> None:
    """The backlog's limit counts items that are no jobs yet, for batches and single jobs."""
    accept(store, *names(498))
    stage(store, *names(3, "b"), batch=OTHER)

    with pytest.raises(BacklogFull):
        commit(store, 3, batch=OTHER)

    stage(store, "c1", "c2", batch=BatchId("third"))
    assert commit(store, 2, batch=BatchId("third")).fresh
    with pytest.raises(BacklogFull):
        store.create(JobId("single"), make_request())


def test_items_of_a_canceled_batch_end_as_canceled(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """Also those that are no jobs yet become jobs, with an end; the batch then ends as well."""
    accept(store, *names(250))

    assert store.execute(BatchPlans(store).cancel_staged(B))

    assert load(store).counts[Status.CANCELED] == 250
    assert redis_client.zcard("backlog:any") == 0
    assert redis_client.hget("counters", "ended:canceled") == "250"
    assert redis_client.zscore("due", f"results:{B}") is not None
    assert not store.execute(BatchPlans(store).cancel_staged(OTHER))


def test_a_cancel_that_died_is_finished_by_the_sweep(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """Items that were staged when the process died are not made after all."""
    accept(store, *names(3))
    redis_client.hset(f"batch:{B}", "canceled_at", "1")

    sweep(store)

    assert load(store).counts[Status.CANCELED] == 3
    assert redis_client.llen("rq:queue:submit") == 0
