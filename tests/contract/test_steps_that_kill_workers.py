"""Steps whose workers die of them: started again further and further apart, and given up."""

from collections.abc import Callable

import pytest
import redis

from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId
from core.jobs.status import CallbackState, Status, Step
from core.redis.change import Change
from core.redis.store import JobStore
from tests.contract.jobs import Clock, accept, make_request
from worker.runtime.sweep import sweep_once

WATCH = 10.0
A = JobId("0001")
QUEUES = {Step.SUBMIT: "submit", Step.POLL: "submit", Step.COLLECT: "collect"}


@pytest.fixture
def store(store_with: Callable[..., JobStore]) -> JobStore:
    """Return a store with two slots and a watch of ten seconds, whose sweep lease is taken."""
    made = store_with(slots="2", watch_seconds=str(WATCH), slot_lease_seconds="100000")
    assert made.take_sweep_lease("token", 60)
    return made


def _job(store: JobStore) -> Job:
    job = store.load(A)
    assert job is not None
    return job


def _storing(store: JobStore, clock: Clock, lives_for: float) -> None:
    accept(store, A)
    known: dict[str, str | int | float | None] = {
        "result_url": "https://x/y",
        "result_expires_at": clock.now + lives_for,
    }
    assert store.move(A, Status.STORING, Change(set=known, wake=[Step.COLLECT]))


def _begin(client: "redis.Redis", queue: str) -> str:
    """Take a task and note in RQ's books that it began, as a worker does."""
    task = str(client.lpop(queue))
    assert client.exists(f"rq:job:{task}")
    client.hset(f"rq:job:{task}", "started_at", "now")
    return task


def _die(store: JobStore, client: "redis.Redis", clock: Clock, step: Step) -> float:
    """Have the step's task be taken, and its worker die; return when it is started again."""
    queue = f"rq:queue:{QUEUES.get(step, step)}"
    _begin(client, queue)
    began = clock.now
    while client.llen(queue) == 0 and (due := client.zscore("due", f"{step}:{A}")):
        clock.now = max(clock.now, float(due))
        assert sweep_once(store, "token")[0]
    return clock.now - began


def test_a_step_that_its_worker_dies_of_ends_its_job(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """Twice it is started again at once, then later each time; the tenth death is the end."""
    accept(store, A, callback_url="https://h/c")
    waits = [_die(store, redis_client, clock, Step.SUBMIT) for _ in range(9)]
    assert _job(store).status is Status.SUBMITTING
    assert waits[:2] == [WATCH, WATCH]
    for wait, full in zip(waits[2:], [10, 20, 40, 80, 80, 80, 80], strict=True):
        assert WATCH + full / 2 <= wait <= WATCH + full

    _die(store, redis_client, clock, Step.SUBMIT)

    job = _job(store)
    assert (job.error or {})["code"] == FailureCode.LOST
    assert "worker died every time" in (job.error or {})["message"]
    assert job.callback_state is CallbackState.PENDING
    assert redis_client.zscore("dead", f"demo job:{A}") is not None


def test_deaths_behind_the_deadline_count_too(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """The deadline starts a step sooner, but not one that is left alone, and not for ever."""
    deadline = clock.now + 2 * WATCH
    store.create(A, make_request(created_at=clock.now, deadline_at=deadline))
    deaths, end = 0, clock.now + 100 * WATCH
    while _job(store).error is None and clock.now < end:
        if redis_client.llen("rq:queue:submit"):
            _begin(redis_client, "rq:queue:submit")
            deaths += 1
        clock.now += WATCH / 2
        assert sweep_once(store, "token")[0]

    assert (_job(store).error or {})["code"] == FailureCode.LOST
    assert deaths == 10


def test_an_image_that_lives_is_not_given_up_for_deaths(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """It is tried until its link dies, and its worker dies less and less often."""
    _storing(store, clock, 600)
    end = clock.now + 600
    deaths = 0
    while _job(store).error is None:
        _die(store, redis_client, clock, Step.COLLECT)
        deaths += 1

    assert end <= clock.now <= end + 2 * WATCH
    assert 10 <= deaths <= 25
    assert (_job(store).error or {})["code"] == FailureCode.LOST


def test_a_step_that_is_put_off_has_not_died(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """A planned delay is no death, and begins the count anew."""
    accept(store, A)
    for _ in range(30):
        for _ in range(2):
            _die(store, redis_client, clock, Step.SUBMIT)
        _begin(redis_client, "rq:queue:submit")
        due = Change(due={Step.SUBMIT: clock.now + 5})
        assert store.change(A, {Status.SUBMITTING}, due)
        clock.now += 5
        sweep_once(store, "token")

    assert _job(store).status is Status.SUBMITTING
    assert redis_client.hget(f"job:{A}", "deaths:submit") is None


def test_a_job_that_moved_on_has_not_died(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """The count of a step is that of one stay in its status."""
    accept(store, A)
    for _ in range(4):
        for _ in range(4):
            _die(store, redis_client, clock, Step.SUBMIT)
        redis_client.delete("rq:queue:submit")
        assert store.move(A, Status.QUEUED)
    assert redis_client.hget(f"job:{A}", "status") == "submitting"

    assert _die(store, redis_client, clock, Step.SUBMIT) == WATCH


def test_a_step_that_waits_or_was_never_begun_has_not_died(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """A long queue, a lost task, and one that was popped by a worker that died, say nothing."""
    accept(store, A)
    for _ in range(12):
        clock.now += WATCH
        sweep_once(store, "token")
    for _ in range(12):
        assert redis_client.lpop("rq:queue:submit") is not None
        clock.now += WATCH
        sweep_once(store, "token")
    for _ in range(12):
        task = _begin(redis_client, "rq:queue:submit")
        redis_client.rpush("rq:queue:submit:intermediate", task)
        clock.now += WATCH
        sweep_once(store, "token")

    assert _job(store).status is Status.SUBMITTING
    assert redis_client.hget(f"job:{A}", "deaths:submit") is None


def test_a_callback_that_its_worker_dies_of_is_given_up(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """The job is well; its callback is a dead letter that says why, and can be sent again."""
    store.create(A, make_request(callback_url="https://h/c"))
    assert store.move(A, Status.STORING)
    assert store.move(A, Status.SUCCEEDED)
    for _ in range(10):
        _die(store, redis_client, clock, Step.NOTIFY)

    job = _job(store)
    assert (job.status, job.callback_state) == (Status.SUCCEEDED, CallbackState.DEAD)
    assert "worker died every time" in str(job.callback_log[-1]["error"])
    assert redis_client.zscore("due", f"notify:{A}") is None


def test_those_that_died_together_are_started_apart(
    store_with: Callable[..., JobStore], redis_client: "redis.Redis", clock: Clock
) -> None:
    """One of them is what the worker died of; the others must not be with it again and again."""
    store = store_with(slots="9", watch_seconds=str(WATCH), slot_lease_seconds="100000")
    assert store.take_sweep_lease("token", 60)
    names = accept(store, *(f"000{n}" for n in range(8)))
    for _ in range(3):
        while redis_client.llen("rq:queue:submit"):
            _begin(redis_client, "rq:queue:submit")
        clock.now += WATCH
        sweep_once(store, "token")

    due = [redis_client.zscore("due", f"submit:{name}") for name in names]
    assert len({round(float(at or 0), 2) for at in due}) > 4
