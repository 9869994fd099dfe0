"""The collect queue: what dies first is fetched first. And RQ's records of lost tasks."""

from collections.abc import Callable

import pytest
import redis

from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.redis.change import Change
from core.redis.store import JobStore
from core.scheduling import circuit_breakers
from tests.contract.jobs import Clock, accept

_COLLECT = "rq:queue:collect"


@pytest.fixture
def store(store_with: Callable[..., JobStore]) -> JobStore:
    """Return a store with many slots, whose sweep lease is taken."""
    made = store_with(slots="1000", watch_seconds="10")
    assert made.take_sweep_lease("token", 600)
    return made


def _ready(store: JobStore, name: str, dies_at: float | None) -> None:
    accept(store, name)
    change = Change(set={"result_expires_at": dies_at}, wake=[Step.COLLECT])
    assert store.move(JobId(name), Status.STORING, change)


def _order(client: "redis.Redis") -> list[str]:
    return [str(task).partition("-")[0] for task in client.lrange(_COLLECT, 0, -1)]


def test_the_first_to_die_goes_first(store: JobStore, redis_client: "redis.Redis") -> None:
    """Wherever in the queue it belongs, it is put there; equals keep their order."""
    for name, dies_at in [("a", 600), ("b", 900), ("c", 300), ("d", 700), ("e", 900), ("f", 100)]:
        _ready(store, name, dies_at)

    assert _order(redis_client) == ["f", "c", "a", "d", "b", "e"]


def test_a_result_without_an_end_is_passed(store: JobStore, redis_client: "redis.Redis") -> None:
    """Nothing is known of it that would make it urgent."""
    _ready(store, "a", 600)
    _ready(store, "b", None)
    _ready(store, "c", 100)

    assert _order(redis_client) == ["c", "a", "b"]


def _again(store: JobStore, client: "redis.Redis", clock: Clock, name: str) -> None:
    """Have a result's task be taken and fail, and the sweep start it again."""
    assert client.lrem(_COLLECT, 1, f"{name}-collect-2") == 1
    store.change(JobId(name), {Status.STORING}, Change(due={Step.COLLECT: clock.now - 1}))
    report = store.sweep("token", 600)
    assert report is not None
    assert f"collect:{name}" in report["woken"]


def test_a_result_that_is_tried_again_goes_before_those_that_die_later(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """Also where RQ has put tasks behind it that a killed worker had left."""
    for name, dies_at in [("a", 100), ("b", 200), ("c", 300), ("d", 400), ("e", 50)]:
        _ready(store, name, dies_at)
    for name in ("d", "e"):  # done meanwhile, and taken up again by RQ
        store.move(JobId(name), Status.SUCCEEDED)
        redis_client.lrem(_COLLECT, 1, f"{name}-collect-2")
        redis_client.rpush(_COLLECT, f"{name}-collect-2")
    assert _order(redis_client) == ["a", "b", "c", "d", "e"]

    _again(store, redis_client, clock, "b")
    assert _order(redis_client) == ["a", "b", "c", "d", "e"]
    _again(store, redis_client, clock, "a")
    assert _order(redis_client) == ["a", "b", "c", "d", "e"]

    _ready(store, "f", 250)
    assert _order(redis_client) == ["a", "b", "f", "c", "d", "e"]


def test_a_retry_in_a_long_queue(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """The first hundred are looked at; what dies after all of them goes behind them."""
    for number in range(150):
        _ready(store, f"a{number}", 900 + number)

    _again(store, redis_client, clock, "a149")
    assert _order(redis_client).index("a149") == 100
    _again(store, redis_client, clock, "a3")
    assert _order(redis_client).index("a3") == 3


def _clean_up(store: JobStore, name: str) -> None:
    accept(store, name, input_keys={"input_image": f"_inputs/{name}/input_image"})
    store.fail(JobId(name), FailureCode.REQUEST_MODERATED, "m")


def test_clean_ups_go_first(store: JobStore, redis_client: "redis.Redis") -> None:
    """They are quickly done, and must not stand between results."""
    _ready(store, "b", 900)
    _clean_up(store, "a")
    _ready(store, "d", 100)
    _clean_up(store, "c")
    _ready(store, "e", 950)

    assert _order(redis_client) == ["c", "a", "d", "b", "e"]


def test_clean_ups_wait_while_the_bucket_is_in_trouble(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """They would take the threads that are to store images; afterwards they are done."""
    _ready(store, "b", 900)
    store.change(JobId("b"), Status, Change(failed={circuit_breakers.STORAGE: "SlowDown"}))
    _clean_up(store, "a")
    store.guard_inputs(JobId("never"), clock.now)
    for _ in range(3):
        clock.now += 10
        store.sweep("token", 600)
        assert not any("cleanup" in task for task in redis_client.lrange(_COLLECT, 0, -1))

    store.change(JobId("b"), Status, Change(passed=[circuit_breakers.STORAGE]))
    clock.now += 10
    store.sweep("token", 600)

    tasks = [str(task) for task in redis_client.lrange(_COLLECT, 0, -1)]
    assert {task.partition("-")[0] for task in tasks if "cleanup" in task} == {"a", "never"}


def test_many_tasks_for_nothing_turn_no_order_round(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """Behind more of them than are looked at, results stay in the order in which they came."""
    _ready(store, "a", 600)
    for number in range(150):
        redis_client.rpush(_COLLECT, f"gone{number}-collect-1")

    for name, dies_at in [("b", 610), ("c", 620), ("d", 630)]:
        _ready(store, name, dies_at)

    order = [name for name in _order(redis_client) if not name.startswith("gone")]
    assert order == ["a", "b", "c", "d"]


def test_an_urgent_result_passes_a_long_queue(store: JobStore, redis_client: "redis.Redis") -> None:
    """The place is looked for among the last hundred; what is more urgent than those goes first."""
    for number in range(120):
        _ready(store, f"a{number}", 900 + number)

    _ready(store, "urgent", 1)

    assert _order(redis_client)[0] == "urgent"
    assert redis_client.llen(_COLLECT) == 121


def test_a_task_that_was_taken_and_never_started_is_forgotten(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """RQ would run it much later, beside the one that the sweep put in its place."""
    _ready(store, "a", 600)
    redis_client.lmove(_COLLECT, f"{_COLLECT}:intermediate", "LEFT", "RIGHT")
    clock.now += 10

    report = store.sweep("token", 600)

    assert report is not None
    assert report["woken"] == ["collect:a"]
    assert redis_client.lrange(_COLLECT, 0, -1) == ["a-collect-3"]
    assert redis_client.llen(f"{_COLLECT}:intermediate") == 0
    assert not redis_client.exists("rq:job:a-collect-2")


def test_no_record_of_a_task_stays_for_ever(store: JobStore, redis_client: "redis.Redis") -> None:
    """A task that nobody runs takes its record along when its time is over."""
    accept(store, "a")

    assert 86_000 < redis_client.ttl("rq:job:a-submit-1") <= 86_400
