"""Our RQ worker runs many tasks at a time, takes no more than it can run, and leaves in peace."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from rq import Worker

from core.redis.store import JobStore
from tests.conftest import Eventually
from tests.contract.jobs import accept
from worker.runtime import rq_worker
from worker.runtime.rq_worker import ConcurrentWorker

NAMES = [f"{number:04d}" for number in range(10)]


class Work:
    """A step that takes until it is let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.most = 0
        self._lock = threading.Lock()
        self._go = threading.Event()

    def __call__(self, job_id: str) -> None:
        """Be run as a task."""
        with self._lock:
            self.begun.append(job_id)
            self.most = max(self.most, len(self.begun) - len(self.ended))
        if not self._go.wait(20):
            raise TimeoutError
        with self._lock:
            self.ended.append(job_id)

    def let_go(self) -> None:
        """Let the tasks end."""
        self._go.set()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    """Replace the submit step by work that the test ends."""
    made = Work()
    monkeypatch.setattr("worker.tasks.submit", made)
    yield made
    made.let_go()


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note in a list, instead of ending this process, that the grace is over."""
    calls: list[bool] = []
    monkeypatch.setattr(rq_worker, "_exit_process", lambda *_why: calls.append(True))
    return calls


@pytest.fixture
def start(
    raw_redis: "redis.Redis", work: Work, cut_off: list[bool]
) -> Iterator[Callable[..., tuple[ConcurrentWorker, threading.Thread]]]:
    """Return a function that runs a worker in a thread, which is stopped after the test."""
    running: list[tuple[ConcurrentWorker, threading.Thread]] = []
    assert not cut_off

    def begin(
        *, burst: bool = True, grace: float | None = None
    ) -> tuple[ConcurrentWorker, threading.Thread]:
        worker = ConcurrentWorker("submit", raw_redis, 4, grace=grace)
        options = {"burst": burst, "logging_level": "CRITICAL"}
        thread = threading.Thread(target=worker.work, kwargs=options, daemon=True)
        thread.start()
        running.append((worker, thread))
        return running[-1]

    yield begin
    work.let_go()
    for worker, thread in running:
        worker.request_stop()
        thread.join(20)


Start = Callable[..., tuple[ConcurrentWorker, threading.Thread]]


def test_tasks_run_truly_at_once(
    start: Start, work: Work, store: JobStore, redis_client: "redis.Redis", eventually: Eventually
) -> None:
    """With four threads four tasks are under way together; the other six wait in the queue."""
    accept(store, *NAMES)
    worker, thread = start()

    eventually(lambda: len(work.begun) == 4)
    beats = _beats(worker)
    eventually(lambda: len(beats) > 1)  # it has looked around since, and more than once
    assert worker.running == 4
    assert redis_client.llen("rq:queue:submit") == 6
    assert redis_client.llen("rq:queue:submit:intermediate") == 0
    work.let_go()
    thread.join(20)

    assert not thread.is_alive()
    assert sorted(work.ended) == NAMES
    assert work.most == 4
    assert worker.running == 0
    assert redis_client.llen("rq:queue:submit") == 0


def _beats(worker: ConcurrentWorker) -> list[None]:
    """Return a list that grows with each sign of life from now on."""
    beats: list[None] = []
    real = worker.heartbeat

    def heartbeat(*arguments: Any, **options: Any) -> None:
        real(*arguments, **options)
        beats.append(None)

    worker.heartbeat = heartbeat  # type: ignore[method-assign]  # looked on at
    return beats


def test_a_full_worker_is_busy_to_rq(
    start: Start, work: Work, store: JobStore, raw_redis: "redis.Redis", eventually: Eventually
) -> None:
    """RQ's own tools show the worker, and that it is at work."""
    accept(store, *NAMES)
    start()
    eventually(lambda: len(work.begun) == 4)

    (seen,) = Worker.all(connection=raw_redis)

    assert seen.get_state() == "busy"
    assert seen.queue_names() == ["submit"]


def awaits_its_tasks(thread: threading.Thread) -> bool:
    """Return whether a worker's thread is joining the threads that run its tasks."""
    frame, names = sys._current_frames().get(thread.ident or 0), set()  # noqa: SLF001 - as tracers do
    while frame:
        names.add(frame.f_code.co_name)
        frame = frame.f_back
    return {"shutdown", "join"} <= names


def test_a_stop_lets_running_tasks_end(
    start: Start, work: Work, store: JobStore, redis_client: "redis.Redis", eventually: Eventually
) -> None:
    """Told to stop, it fetches nothing more, and leaves once what it runs has ended."""
    accept(store, *NAMES)
    worker, thread = start(burst=False)
    eventually(lambda: len(work.begun) == 4)

    worker.request_stop()
    worker.request_stop()
    eventually(lambda: awaits_its_tasks(thread) or not thread.is_alive())
    assert thread.is_alive()
    assert not work.ended
    work.let_go()
    thread.join(20)

    assert not thread.is_alive()
    assert sorted(work.ended) == sorted(work.begun)
    assert len(work.ended) == 4
    assert redis_client.llen("rq:queue:submit") == 6


def test_an_idle_worker_stops_too(start: Start, eventually: Eventually) -> None:
    """A worker that waits for a task looks for a stop every few seconds."""
    worker, thread = start(burst=False)
    eventually(lambda: worker.get_state() == "idle")

    worker.request_stop()
    thread.join(20)

    assert not thread.is_alive()


def test_a_stop_does_not_wait_forever(
    start: Start, work: Work, store: JobStore, cut_off: list[bool], eventually: Eventually
) -> None:
    """What has not ended after the grace is cut off, as a crash would."""
    accept(store, *NAMES)
    worker, _ = start(burst=False, grace=0.1)
    eventually(lambda: len(work.begun) == 4)

    worker.request_stop()

    eventually(lambda: cut_off == [True])


@pytest.mark.parametrize("grace", [None, 1e300, 1e6])
def test_a_worker_in_a_hurry_leaves_at_once(
    *,
    start: Start,
    work: Work,
    store: JobStore,
    cut_off: list[bool],
    eventually: Eventually,
    grace: float | None,
) -> None:
    """However long the grace is, a second word ends it, and the first alone does not."""
    accept(store, *NAMES)
    worker, _ = start(burst=False, grace=grace)
    eventually(lambda: len(work.begun) == 4)

    worker.request_stop()
    worker.request_stop()
    assert not cut_off
    worker.exit_now()

    eventually(lambda: cut_off == [True])


def test_a_worker_whose_tasks_have_ended_is_not_cut_off(
    *, start: Start, work: Work, store: JobStore, cut_off: list[bool], eventually: Eventually
) -> None:
    """It leaves as soon as they have, and nothing ends the process behind it."""
    accept(store, *NAMES)
    worker, thread = start(burst=False, grace=1e6)
    eventually(lambda: len(work.begun) == 4)

    worker.request_stop()
    work.let_go()
    thread.join(20)
    worker.exit_now()

    assert not thread.is_alive()
    eventually(lambda: not _stopping_threads())
    assert not cut_off


def test_a_task_that_still_runs_is_not_run_again_by_rq(
    *,
    start: Start,
    work: Work,
    store: JobStore,
    raw_redis: "redis.Redis",
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes longer than RQ waits, as the copy of a long video may, and is renewed meanwhile."""
    monkeypatch.setattr(rq_worker, "_RENEWAL_EVERY", 0.0)
    accept(store, NAMES[0])
    start(burst=False)
    eventually(lambda: work.begun == NAMES[:1])
    running: Any = raw_redis.zrange("rq:wip:submit", 0, -1)[0]

    raw_redis.zadd("rq:wip:submit", {running: time.time() + 30})  # RQ would wait no longer

    eventually(lambda: (raw_redis.zscore("rq:wip:submit", running) or 0) > time.time() + 200)
    assert raw_redis.ttl(b"rq:execution:" + running) > 200
    work.let_go()
    eventually(lambda: raw_redis.zcard("rq:finished:submit") == 1)
    assert raw_redis.zcard("rq:wip:submit") == 0


def _stopping_threads() -> list[threading.Thread]:
    """Return the threads that wait for the end of a worker's grace."""
    return [thread for thread in threading.enumerate() if "_bound_the_stop" in thread.name]


def test_a_task_that_raises_gives_its_thread_back(
    store: JobStore, raw_redis: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one thread, a task that fails again and again does not keep the next from running."""
    ran: list[str] = []

    def step(job_id: str) -> None:
        ran.append(job_id)
        if job_id == NAMES[0]:
            raise ArithmeticError

    monkeypatch.setattr("worker.tasks.submit", step)
    accept(store, *NAMES[:3])

    ConcurrentWorker("submit", raw_redis, 1).work(burst=True, logging_level="CRITICAL")

    assert ran[:3] == NAMES[:3]
    assert ran[3:] == [NAMES[0]] * 3  # RQ's own retries
