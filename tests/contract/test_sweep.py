"""What the sweep starts, what it leaves alone, and who may sweep."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import CallbackState, Status, Step
from core.redis.change import Change
from core.redis.store import JobStore
from tests.contract.jobs import Clock, accept, status_of
from worker.runtime.sweep import sweep_once

WATCH = 10.0
A = JobId("0001")


@pytest.fixture
def store(store_with: Callable[..., JobStore]) -> JobStore:
    """Return a store with two slots and a watch of ten seconds, whose sweep lease is taken."""
    made = store_with(slots="2", watch_seconds=str(WATCH), slot_lease_seconds="1000")
    assert made.take_sweep_lease("token", 60)
    return made


def _sweep(store: JobStore) -> dict[str, Any]:
    report = store.sweep("token", 60)
    assert report is not None
    return report


def _tasks(client: "redis.Redis", queue: str) -> list[str]:
    return [str(task) for task in client.lrange(f"rq:queue:{queue}", 0, -1)]


def test_a_step_that_was_lost_is_started_again(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """A task that was taken, and whose worker died, is put into the queue anew after its watch."""
    accept(store, A)
    assert redis_client.lpop("rq:queue:submit") == f"{A}-submit-1"
    clock.now += WATCH - 1
    assert _sweep(store)["woken"] == []

    clock.now += 1
    assert _sweep(store)["woken"] == [f"submit:{A}"]

    assert _tasks(redis_client, "submit") == [f"{A}-submit-2"]
    assert redis_client.zscore("due", f"submit:{A}") == clock.now + WATCH


def test_a_task_that_still_waits_is_left_alone(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """However long the queue is, a job's step stands in it once."""
    accept(store, A)

    for _ in range(3):
        clock.now += WATCH
        assert _sweep(store)["woken"] == []

    assert _tasks(redis_client, "submit") == [f"{A}-submit-1"]
    assert redis_client.zscore("due", f"submit:{A}") == clock.now + WATCH


def test_a_running_step_is_left_alone(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """A step that shows signs of life is not started beside itself."""
    accept(store, A)
    redis_client.delete("rq:queue:submit")

    for _ in range(5):
        clock.now += WATCH - 1
        store.renew(Step.SUBMIT, A)
        assert _sweep(store)["woken"] == []


@pytest.mark.parametrize(
    ("way", "step", "queue"),
    [
        ([Status.GENERATING], Step.POLL, "submit"),
        ([Status.STORING], Step.COLLECT, "collect"),
        ([Status.FAILED], Step.NOTIFY, "notify"),
        ([Status.FAILED], Step.CLEANUP, "collect"),
    ],
)
def test_a_due_step_is_started(
    store: JobStore,
    redis_client: "redis.Redis",
    clock: Clock,
    *,
    way: list[Status],
    step: Step,
    queue: str,
) -> None:
    """A step that was put off is started when its time comes, and not before."""
    accept(store, A)
    for status in way:
        store.move(A, status)
    store.change(A, Status, Change(due={step: clock.now + 5}))
    assert _sweep(store)["woken"] == []

    clock.now += 5
    assert _sweep(store)["woken"] == [f"{step}:{A}"]

    assert f"{A}-{step}-" in _tasks(redis_client, queue)[-1]


def test_a_step_that_is_done_is_not_started(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """A callback that was delivered is not sent again."""
    accept(store, A, callback_url="https://example.com/")
    store.move(A, Status.FAILED)
    redis_client.delete("rq:queue:notify")

    store.change(A, Status, Change(set={"callback_state": "delivered"}, done=[Step.NOTIFY]))
    clock.now += 2 * WATCH

    assert _sweep(store)["woken"] == []


def test_stale_due_times_vanish(store: JobStore, redis_client: "redis.Redis", clock: Clock) -> None:
    """A due time of a job that is gone, or of a step whose status is over, is dropped."""
    accept(store, A)
    store.move(A, Status.STORING)
    redis_client.delete("due")
    stale = {f"submit:{A}": 1.0, f"poll:{A}": 1.0, f"deadline:{A}": 1.0, "collect:gone": 1.0}
    redis_client.zadd("due", stale)

    report = _sweep(store)

    assert (report["woken"], report["overdue"]) == ([], [])
    assert redis_client.zrange("due", 0, -1) == []
    assert _tasks(redis_client, "submit") == [f"{A}-submit-1"]
    assert clock.now > 1


def test_a_job_that_waited_too_long_times_out(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """A queued job past its deadline fails, leaves the backlog, and its caller is told."""
    late = clock.now + 100
    accept(store, "1", "2", "3", deadline_at=late, callback_url="https://example.com/")
    assert status_of(store, "3") is Status.QUEUED
    clock.now = late - 1
    assert sweep_once(store, "token")[0] == "token"
    assert status_of(store, "3") is Status.QUEUED

    clock.now = late
    sweep_once(store, "token")

    job = store.load(JobId("3"))
    assert job is not None
    assert job.error is not None
    assert (job.status, job.error["code"]) == (Status.FAILED, FailureCode.TIMED_OUT)
    assert job.callback_state is CallbackState.PENDING
    assert redis_client.zcard("backlog:any") == 0
    assert [status_of(store, name) for name in "12"] == [Status.SUBMITTING] * 2


@pytest.mark.parametrize(
    ("status", "step"), [(Status.SUBMITTING, Step.SUBMIT), (Status.GENERATING, Step.POLL)]
)
def test_a_deadline_wakes_the_step_that_can_act_on_it(
    store: JobStore, redis_client: "redis.Redis", clock: Clock, status: Status, step: Step
) -> None:
    """What is at the provider ends by the step that knows how it stands there."""
    accept(store, A, deadline_at=clock.now + 50)
    if status is Status.GENERATING:
        store.move(A, status)
    redis_client.delete("rq:queue:submit")
    redis_client.zrem("due", f"{step}:{A}")

    clock.now += 50
    report = _sweep(store)

    assert report["overdue"] == []
    assert report["woken"] == [f"{step}:{A}"]


def test_inputs_of_a_job_that_never_was_are_cleaned_up(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """Once their guard is over, inputs get one clean-up task at a time, until it is done."""
    store.guard_inputs(A, clock.now + 900)
    clock.now += 899
    _sweep(store)
    assert _tasks(redis_client, "collect") == []

    clock.now += 1
    _sweep(store)
    _sweep(store)

    assert _tasks(redis_client, "collect") == [f"{A}-cleanup-0"]

    clock.now += WATCH
    _sweep(store)
    assert _tasks(redis_client, "collect") == [f"{A}-cleanup-0"]

    redis_client.delete("rq:queue:collect")  # its worker died
    clock.now += WATCH
    _sweep(store)
    assert _tasks(redis_client, "collect") == [f"{A}-cleanup-0"]

    store.unguard_inputs(A)
    assert redis_client.zrange("due", 0, -1) == []


def test_inputs_of_an_accepted_job_stay(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """Accepting the job takes the guard away in the same step."""
    store.guard_inputs(A, clock.now + 900)
    accept(store, A, input_keys={"input_image": "k"})

    clock.now += 1000
    _sweep(store)

    assert _tasks(redis_client, "collect") == []


def test_one_round_takes_a_bounded_number(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """After an outage the due steps are started in portions, the oldest first, none left out."""
    gone = {f"collect:gone-{number:04d}": float(number) for number in range(1200)}
    redis_client.zadd("due", gone)

    left = []
    for _ in range(3):
        more = _sweep(store)["more"]
        left.append((redis_client.zcard("due"), bool(more)))

    assert left == [(700, True), (200, True), (0, False)]
    assert clock.now > 1200


def test_only_one_sweeps(store: JobStore) -> None:
    """A second sweeper does not get the lease, and the script refuses whoever has none."""
    assert not store.take_sweep_lease("other", 60)
    assert store.sweep("other", 60) is None
    assert store.sweep("", 60) is None
    assert sweep_once(store, "")[0] == ""
    assert store.sweep("token", 60) is not None


def test_a_frozen_sweeper_is_replaced_and_refused(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """After its lease another takes over; when it wakes up, its token is worth nothing."""
    redis_client.delete("sweep:lease")  # as when its time is over

    second, _ = sweep_once(store, "")

    assert second
    assert store.sweep("token", 60) is None
    assert sweep_once(store, "token")[0] == ""
    assert sweep_once(store, second)[0] == second


def test_sweeping_renews_the_lease(store: JobStore, redis_client: "redis.Redis") -> None:
    """Whoever sweeps goes on sweeping."""
    redis_client.pexpire("sweep:lease", 5000)

    _sweep(store)

    assert 55_000 < redis_client.pttl("sweep:lease") <= 60_000
