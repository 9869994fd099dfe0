"""Who gets a slot, and when it is free again."""

from collections.abc import Callable

import pytest
import redis

from core.jobs.job import JobId
from core.jobs.status import Status
from core.redis.change import Change
from core.redis.store import JobStore
from tests.contract.jobs import Clock, accept, standing, status_of

GENERATING, QUEUED, SUBMITTING = Status.GENERATING, Status.QUEUED, Status.SUBMITTING
LIMITED = "flux-kontext-pro"


@pytest.fixture
def store(store_with: Callable[..., JobStore]) -> JobStore:
    """Return a store with four slots, two of them for a limited model."""
    return store_with(slots=f"4,{LIMITED}=2", slot_lease_seconds="100", watch_seconds="10")


def _names(first: int, count: int) -> list[str]:
    return [f"{number:04d}" for number in range(first, first + count)]


def _held(client: "redis.Redis", lane: str = "") -> list[str]:
    return sorted(str(name) for name in client.zrange(f"slots:default{lane}", 0, -1))


def test_the_provider_s_limits(
    store_with: Callable[..., JobStore], redis_client: "redis.Redis"
) -> None:
    """Of forty jobs in a mix, 24 are active, 6 of them of the limited model."""
    store = store_with(slots=f"24,{LIMITED}=6")
    for name in _names(0, 40):
        accept(store, name, model=LIMITED if int(name) % 2 else "flux-pro-1.1")

    active = [name for name in _names(0, 40) if status_of(store, name) is SUBMITTING]

    assert len(active) == 24
    assert sum(int(name) % 2 for name in active) == 6
    assert _held(redis_client) == active
    assert len(_held(redis_client, f":{LIMITED}")) == 6
    assert redis_client.llen("rq:queue:submit") == 24


def test_limited_models_count_in_both(store: JobStore) -> None:
    """A limited job takes one of all slots as well."""
    accept(store, "1", "2", "3", model=LIMITED)
    accept(store, "4", "5", "6")

    assert standing(store, "1 2 3 4 5 6", SUBMITTING) == "1 2 4 5"


def test_a_model_at_its_limit_does_not_hold_up_others(store: JobStore) -> None:
    """A job behind a waiting limited one goes ahead, though it is younger and less urgent."""
    accept(store, "1", "2", "3", model=LIMITED, priority=50)
    accept(store, "4")

    assert standing(store, "1 2 3 4", SUBMITTING) == "1 2 4"


def test_priority_goes_before_age(store: JobStore) -> None:
    """Freed slots go to the highest priority, and among equals to the oldest."""
    accept(store, "1", "2", "3", "4")
    accept(store, "5", "6", priority=-100)
    accept(store, "7", priority=1)
    accept(store, "8", model=LIMITED, priority=1)
    accept(store, "9", model=LIMITED, priority=100)

    order = []
    for done in ("1", "2", "3", "4", "9"):
        waiting = set(standing(store, "5 6 7 8 9", QUEUED).split())
        store.move(JobId(done), Status.STORING)
        order += sorted(waiting - set(standing(store, "5 6 7 8 9", QUEUED).split()))

    assert order == ["9", "7", "8", "5", "6"]


@pytest.mark.parametrize("way", [[Status.STORING], [GENERATING, Status.STORING], [Status.FAILED]])
def test_a_freed_slot_is_granted_in_the_same_step(
    store: JobStore, redis_client: "redis.Redis", way: list[Status]
) -> None:
    """When the call returns, the next job has the slot and its task is in the queue."""
    accept(store, "1", "2", "3", "4", "5")
    assert status_of(store, "5") is QUEUED

    for status in way:
        store.move(JobId("1"), status)

    assert status_of(store, "5") is SUBMITTING
    assert _held(redis_client) == ["2", "3", "4", "5"]
    assert redis_client.lrange("rq:queue:submit", -1, -1) == ["5-submit-1"]


def test_generating_keeps_the_slot(store: JobStore, redis_client: "redis.Redis") -> None:
    """While the provider works on it, a job's slot is nobody else's."""
    accept(store, "1", "2", "3", "4", "5")

    store.move(JobId("1"), GENERATING)

    assert status_of(store, "5") is QUEUED
    assert _held(redis_client) == ["1", "2", "3", "4"]


def test_a_late_webhook_takes_a_waiting_job_out_of_the_backlog(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """A job whose image is there already needs no slot any more."""
    accept(store, "1", "2", "3", "4", "5", "6")

    assert store.move(JobId("5"), Status.STORING)

    assert redis_client.zrange("backlog:any", 0, -1) == ["6"]
    assert _held(redis_client) == ["1", "2", "3", "4"]


def test_a_job_that_is_given_back_comes_first(store: JobStore) -> None:
    """It keeps its place by its age: the next free slot is its own."""
    accept(store, "1", "2", "3", "4", "5", "6")
    shrink = Change(shrink=("default", 60.0))

    assert store.move(JobId("2"), QUEUED, shrink)
    assert standing(store, "1 2 3 4 5 6", QUEUED) == "2 5 6"
    store.move(JobId("1"), Status.STORING)

    assert standing(store, "2 5 6", QUEUED) == "5 6"


def test_a_busy_account_has_fewer_slots_for_a_while(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """After a 429 no more are granted than were active then, until the time is over."""
    accept(store, "1", "2", "3", "4", "5")
    store.move(JobId("4"), QUEUED, Change(shrink=("default", 60.0)))
    store.move(JobId("3"), QUEUED, Change(shrink=("default", 60.0)))

    assert redis_client.get("pool:default:ceiling") == "2"
    assert 59_000 < redis_client.pttl("pool:default:ceiling") <= 60_000
    assert standing(store, "1 2 3 4 5", SUBMITTING) == "1 2"
    store.move(JobId("1"), Status.STORING)
    assert standing(store, "2 3 4 5", SUBMITTING) == "2 3"

    redis_client.delete("pool:default:ceiling")  # as when its time is over
    store.move(JobId("2"), Status.STORING)
    accept(store, "6", "7")
    assert standing(store, "3 4 5 6 7", SUBMITTING) == "3 4 5 6"


def test_an_account_that_is_busy_without_us_rests(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """The only active job, refused, is not granted again at once: it would be refused again."""
    accept(store, "1")

    store.move(JobId("1"), QUEUED, Change(shrink=("default", 60.0)))
    accept(store, "2")

    assert standing(store, "1 2", QUEUED) == "1 2"
    assert 59_000 < redis_client.pttl("pool:default:paused") <= 60_000


def test_a_paused_account_grants_nothing(store: JobStore, redis_client: "redis.Redis") -> None:
    """Jobs wait, and are accepted, until the pause is over; then they go on."""
    accept(store, "1")

    store.move(JobId("1"), QUEUED, Change(pause=("default", 60.0, "402 no credits")))
    accept(store, "2")

    assert standing(store, "1 2", QUEUED) == "1 2"
    assert redis_client.get("pool:default:paused") == "402 no credits"
    assert 59_000 < redis_client.pttl("pool:default:paused") <= 60_000

    redis_client.delete("pool:default:paused")  # as when its time is over
    token = _sweep(store)
    assert token
    assert standing(store, "1 2", SUBMITTING) == "1 2"


def _sweep(store: JobStore) -> dict[str, object] | None:
    store.take_sweep_lease("token", 60)
    return store.sweep("token", 60)


@pytest.mark.parametrize("change", ["pause", "shrink"])
def test_the_shortest_rest_is_one(store: JobStore, change: str) -> None:
    """A rest of less than a millisecond does not break the move in its middle."""
    rests = {
        "pause": Change(pause=("default", 0.0001, "why")),
        "shrink": Change(shrink=("default", 0.0001)),
    }
    accept(store, "1")

    assert store.move(JobId("1"), QUEUED, rests[change])


def test_a_lost_holder_s_slot_is_freed_after_its_lease(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """A slot whose job is gone goes to the next one, but not before its lease has ended."""
    accept(store, "1", "2", "3", "4", "5", model=LIMITED)
    redis_client.delete("job:1")

    clock.now += 99
    assert (_sweep(store) or {})["freed"] == []
    assert _held(redis_client, f":{LIMITED}") == ["1", "2"]
    clock.now += 2
    report = _sweep(store) or {}

    assert report["freed"] == ["1"]
    assert _held(redis_client, f":{LIMITED}") == ["2", "3"]
    assert _held(redis_client) == ["2", "3"]
    assert status_of(store, "3") is SUBMITTING


@pytest.mark.parametrize("status", [SUBMITTING, GENERATING])
def test_a_job_that_still_stands_keeps_its_slot(
    store: JobStore, redis_client: "redis.Redis", clock: Clock, status: Status
) -> None:
    """However long the provider takes, the lease of a living job is renewed."""
    accept(store, "1", "2", "3", "4", "5")
    if status is GENERATING:
        store.move(JobId("1"), GENERATING)

    for _ in range(3):
        clock.now += 101
        assert (_sweep(store) or {})["freed"] == []

    assert _held(redis_client) == ["1", "2", "3", "4"]
    assert redis_client.zscore("slots:default", "1") == clock.now + 100
    assert status_of(store, "5") is QUEUED


def test_a_backlog_entry_without_its_job_takes_no_slot(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """What is left in the backlog of a job that is gone is passed over."""
    accept(store, "1", "2", "3", "4", "5", "6")
    redis_client.delete("job:5")

    store.move(JobId("1"), Status.STORING)

    assert status_of(store, "6") is SUBMITTING
    assert _held(redis_client) == ["2", "3", "4", "6"]


def test_a_sweep_reports_how_full_it_is(store: JobStore) -> None:
    """Backlog over all lanes, and slots that are held."""
    accept(store, "1", "2", "3", model=LIMITED)
    accept(store, "4", "5", "6")

    report = _sweep(store) or {}

    assert (report["backlog"], report["held"]) == (2, 4)
