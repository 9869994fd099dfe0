"""Our worker keeps RQ's books as RQ's own does, in fewer steps."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import redis
from rq import Queue, SimpleWorker, Worker
from rq.job import Job as Task
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry
from rq.suspension import resume, suspend

from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.redis.store import JobStore
from core.scheduling import task_queue as rules
from tests.conftest import Eventually
from tests.contract.jobs import Clock, accept
from worker.runtime import rq_worker
from worker.runtime.rq_bookkeeping import RqBookkeeping
from worker.runtime.rq_worker import ConcurrentWorker

A = "0001"
TASK = f"{A}-submit-1"
#: RQ writes these, and we do not: results, which our steps have none of, and empty fields.
NOT_KEPT = {f"rq:results:{TASK}"}

Books_ = dict[str, Any]
Make = Callable[["redis.Redis"], SimpleWorker]


def _ours(client: "redis.Redis") -> SimpleWorker:
    return ConcurrentWorker("submit", client, 4)


def _stock(client: "redis.Redis") -> SimpleWorker:
    return SimpleWorker(["submit"], connection=client, serializer=rules.SERIALIZER)


@pytest.fixture
def in_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[ConcurrentWorker], None]]:
    """Return a function that runs a worker in a thread, which is stopped after the test."""
    monkeypatch.setattr(rq_worker, "_exit_process", lambda: None)  # it would end this process
    running: list[tuple[ConcurrentWorker, threading.Thread]] = []

    def begin(worker: ConcurrentWorker) -> None:
        thread = threading.Thread(target=worker.work, kwargs={"logging_level": "CRITICAL"})
        thread.start()
        running.append((worker, thread))

    yield begin
    for worker, thread in running:
        worker.request_stop()
        thread.join(20)


def _books(client: "redis.Redis", worker: SimpleWorker) -> Books_:
    """Return all of RQ's keys: their kind, whether they expire, and what they hold."""
    found: Books_ = {}
    for key in map(_text, client.keys("rq:*")):
        kind = _text(client.type(key))
        expires = client.ttl(key) > 0
        found[_plain(key, worker)] = (kind, expires, _content(client, key, kind, worker))
    return found


def _content(client: "redis.Redis", key: str, kind: str, worker: SimpleWorker) -> set[str]:
    if kind == "hash":
        record = client.hgetall(key)
        fields = {_text(name): value for name, value in record.items() if value}
        named = ("status", "state", "worker_name", "job_id", "successful_job_count")
        told = {f"{name}={_text(fields[name])}" for name in named if name in fields}
        return {_plain(text, worker) for text in told | set(fields)}
    if kind not in {"set", "zset"}:
        return set()
    members: Any = client.smembers(key) if kind == "set" else client.zrange(key, 0, -1)
    return {_plain(_text(member), worker) for member in members}


def _text(value: object) -> str:
    assert isinstance(value, bytes)
    return value.decode()


def _plain(text: str, worker: SimpleWorker) -> str:
    """Put a letter in the place of names that differ each time."""
    return re.sub(r"[0-9a-f]{32}\d?", "E", text.replace(worker.name, "W"))


def _run(
    raw_redis: "redis.Redis", store: JobStore, monkeypatch: pytest.MonkeyPatch, make: Make
) -> tuple[Books_, Books_]:
    """Return the books while a task runs, and once it has ended."""
    raw_redis.flushdb()
    accept(store, A)
    worker = make(raw_redis)
    seen: list[Books_] = []
    monkeypatch.setattr("worker.tasks.submit", lambda _id: seen.append(_books(raw_redis, worker)))
    worker.work(burst=True, logging_level="CRITICAL")
    return seen[0], _books(raw_redis, worker)


def test_a_running_task_stands_in_the_books_as_with_rq(
    raw_redis: "redis.Redis", store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it runs, every key of RQ's is there, of the same kind, with the same content."""
    theirs, _ = _run(raw_redis, store, monkeypatch, _stock)
    ours, _ = _run(raw_redis, store, monkeypatch, _ours)

    assert f"rq:execution:{TASK}:E" in theirs
    assert ours == theirs


def test_a_finished_task_stands_in_the_books_as_with_rq(
    raw_redis: "redis.Redis", store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it has ended, the same keys are left, but for the result."""
    _, theirs = _run(raw_redis, store, monkeypatch, _stock)
    _, ours = _run(raw_redis, store, monkeypatch, _ours)

    assert set(theirs) - set(ours) == NOT_KEPT
    assert ours == {key: value for key, value in theirs.items() if key not in NOT_KEPT}


def test_several_tasks_are_taken_in_one_step_in_their_order(
    raw_redis: "redis.Redis", store: JobStore
) -> None:
    """As many as are asked for, oldest first; one that RQ lost the record of is passed over."""
    accept(store, *(f"000{number}" for number in range(6)))
    raw_redis.delete("rq:job:0001-submit-1")
    books = RqBookkeeping(raw_redis, "submit", "me", worker_ttl=60)

    runs = books.take(3, wait=1)

    assert [run.task_id for run in runs] == ["0000-submit-1", "0002-submit-1", "0003-submit-1"]
    assert len({run.execution.id for run in runs}) == 3
    assert raw_redis.llen("rq:queue:submit:intermediate") == 0
    assert [run.task_id for run in books.take(9)] == ["0004-submit-1", "0005-submit-1"]
    assert books.take(9) == []


def test_a_step_begins_as_its_task_is_taken(
    raw_redis: "redis.Redis", redis_client: "redis.Redis", store: JobStore, clock: Clock
) -> None:
    """Its record comes along and its lease is renewed, but no lease is made, and none is cut."""
    accept(store, A, "0002", "0003")
    clock.now = time.time()
    redis_client.zadd("due", {f"submit:{A}": clock.now + 1, "submit:0003": clock.now + 1000})
    redis_client.zrem("due", "submit:0002")
    books = RqBookkeeping(raw_redis, "submit", "me", worker_ttl=60, lease=60)

    runs = books.take(3)

    due: dict[str, float] = dict(redis_client.zrange("due", 0, -1, withscores=True))  # type: ignore[arg-type]  # redis-py names more kinds
    assert due[f"submit:{A}"] >= clock.now + 60
    assert due["submit:0003"] == pytest.approx(clock.now + 1000)
    assert "submit:0002" not in due
    for run in runs:
        step, job, record = run.prefetched
        assert (step, job) == ("submit", run.task_id.partition("-")[0])
        assert dict(zip(record[::2], record[1::2], strict=True)) == redis_client.hgetall(
            f"job:{job}"
        )
    store.prefetched.put(*runs[0].prefetched)
    with_ours = store.begin(Step.SUBMIT, JobId(A))
    assert with_ours == store.load(JobId(A))
    redis_client.hset(f"job:{A}", "status", "failed")
    again = store.begin(Step.SUBMIT, JobId(A))
    assert again is not None
    assert again.status is Status.FAILED, "what came along is used once"


def test_what_came_along_is_for_its_own_step(store: JobStore) -> None:
    """A record that another step, or job, was to begin with is not used."""
    accept(store, A, "0002")
    for step, job in (("collect", A), ("submit", "0002")):
        store.prefetched.put(step, job, ["status", "failed"])

        begun = store.begin(Step.SUBMIT, JobId(A))

        assert begun is not None
        assert begun.status is Status.SUBMITTING


def test_ends_are_entered_together(raw_redis: "redis.Redis", store: JobStore) -> None:
    """One step enters several; the worker is idle once nothing of its is left."""
    accept(store, *(f"000{number}" for number in range(3)))
    books = RqBookkeeping(raw_redis, "submit", "me", worker_ttl=60)
    runs = books.take(3)
    registry = StartedJobRegistry("submit", connection=raw_redis)
    assert registry.get_job_ids(cleanup=False) == [run.task_id for run in runs]

    books.finish(runs[:2])
    assert raw_redis.hget("rq:worker:me", "state") == b"busy"
    assert registry.get_job_ids(cleanup=False) == [runs[2].task_id]
    books.finish(runs[2:])

    assert raw_redis.hget("rq:worker:me", "state") == b"idle"
    assert raw_redis.hget("rq:worker:me", "successful_job_count") == b"3"
    finished = FinishedJobRegistry("submit", connection=raw_redis)
    assert sorted(finished.get_job_ids()) == [run.task_id for run in runs]


def test_a_server_that_was_restarted_is_no_error(
    raw_redis: "redis.Redis", redis_client: "redis.Redis", store: JobStore
) -> None:
    """It hung up, and forgot its scripts; both is mended at the next call."""
    accept(store, *(f"000{number}" for number in range(3)))
    books = RqBookkeeping(raw_redis, "submit", "me", worker_ttl=60)
    books.finish(books.take(1))
    own = redis_client.client_id()
    redis_client.script_flush()
    for client in redis_client.client_list(_type="normal"):
        if int(client["id"]) != own:
            redis_client.client_kill_filter(_id=client["id"])

    runs = books.take(2)
    books.finish(runs)

    assert [run.task_id for run in runs] == ["0001-submit-1", "0002-submit-1"]
    assert raw_redis.zcard("rq:finished:submit") == 3


def test_a_task_whose_worker_died_is_run_again_by_rq(
    raw_redis: "redis.Redis", store: JobStore
) -> None:
    """RQ's own clean-up knows an abandoned task by our entries, and queues it again."""
    accept(store, A)
    [run] = RqBookkeeping(raw_redis, "submit", "dead", worker_ttl=60).take(1)
    registry = StartedJobRegistry(
        "submit", connection=raw_redis, serializer=rules.SERIALIZER, job_class=Task
    )

    registry.cleanup(run.execution.created_at.timestamp() + 301)

    queue = Queue("submit", connection=raw_redis, serializer=rules.SERIALIZER)
    assert queue.get_job_ids() == [TASK]


def test_a_task_that_fails_for_good_is_in_rq_s_registry(
    raw_redis: "redis.Redis", store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After RQ's own tries it stands among the failed ones, and in no other list."""

    def step(_job_id: str) -> None:
        raise ArithmeticError

    monkeypatch.setattr("worker.tasks.submit", step)
    accept(store, A)

    ConcurrentWorker("submit", raw_redis, 1).work(burst=True, logging_level="CRITICAL")

    failed = FailedJobRegistry("submit", connection=raw_redis, serializer=rules.SERIALIZER)
    assert failed.get_job_ids() == [TASK]
    started = StartedJobRegistry("submit", connection=raw_redis)
    assert started.get_job_ids(cleanup=False) == []


def test_a_suspended_worker_takes_nothing(
    raw_redis: "redis.Redis",
    store: JobStore,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Eventually,
    in_thread: Callable[[ConcurrentWorker], None],
) -> None:
    """`rq suspend` holds, and `rq resume` ends, a worker that already waits for a task."""
    ran: list[str] = []
    monkeypatch.setattr("worker.tasks.submit", ran.append)
    monkeypatch.setattr(rq_worker, "_SUSPENSION_EVERY", 0.0)
    worker = ConcurrentWorker("submit", raw_redis, 4)
    suspend(raw_redis)
    in_thread(worker)
    # None stands in the books before the worker has registered.
    workers = partial(Worker.all, connection=raw_redis)
    eventually(lambda: [one.get_state() for one in workers()] == ["suspended"])
    accept(store, A)

    assert ran == []
    resume(raw_redis)

    eventually(lambda: ran == [A])
