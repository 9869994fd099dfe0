"""Our script writes RQ's own records, and RQ's own worker runs them."""

import importlib
import inspect
from collections.abc import Callable

import pytest
import redis
from rq import Queue, Retry, SimpleWorker
from rq.job import Job as Task
from rq.serializers import JSONSerializer, resolve_serializer

from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.redis.change import Change
from core.redis.store import JobStore
from core.scheduling import task_queue as rules
from tests.contract.jobs import accept
from worker.runtime.rq_worker import ConcurrentWorker

A = JobId("0001")
STEPS = sorted(rules.QUEUE_OF)
STEPS_OF_BATCHES = (Step.RESULTS, Step.ANNOUNCE)
#: What the worker, and not who enqueues, writes; RQ writes it as empty at first, which reads alike.
LATER = {"started_at", "ended_at", "last_heartbeat", "worker_name", "group_id"}
#: No callbacks of RQ's are used: empty in its record, and read as none where it is missing.
UNUSED = {"success_callback_name", "failure_callback_name", "stopped_callback_name"}
STAMPS = {"created_at", "enqueued_at"}


def _enqueue(store: JobStore, step: Step) -> str:
    accept(store, A)
    assert store.change(A, Status, Change(wake=[step]))
    # The second task of this job: accepting it started its submit. A batch has a record of its own.
    return f"{A}-{step}-{1 if step in STEPS_OF_BATCHES else 2}"


def _record(client: "redis.Redis", task_id: str) -> dict[str, bytes]:
    fields = client.hgetall(f"rq:job:{task_id}")
    return {_bytes(name).decode(): _bytes(value) for name, value in fields.items()}


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value


def _by_rq(raw_redis: "redis.Redis", step: Step) -> Task:
    """Enqueue the same task with RQ's own code."""
    queue = Queue(rules.QUEUE_OF[step], connection=raw_redis, serializer=rules.SERIALIZER)
    return queue.enqueue(
        rules.task_function(step),
        A,
        description=step.value,
        job_timeout=rules.TASK_TIMEOUT,
        result_ttl=rules.RESULT_TTL,
        failure_ttl=rules.FAILURE_TTL,
        retry=Retry(rules.TASK_RETRIES),
    )


@pytest.mark.parametrize("step", STEPS)
def test_the_record_is_field_for_field_rq_s(
    store: JobStore, raw_redis: "redis.Redis", step: Step
) -> None:
    """Apart from times, compression and what is written later, both hashes are the same."""
    ours = _record(raw_redis, _enqueue(store, step))
    theirs = _record(raw_redis, _by_rq(raw_redis, step).id)

    empty = {name for name in LATER | UNUSED if not theirs.get(name)}
    assert empty >= UNUSED
    assert {name for name, value in theirs.items() if value} <= set(ours)
    assert set(ours) <= set(theirs)
    for name in set(ours) - STAMPS - {"data"}:
        assert (name, ours[name]) == (name, theirs[name])
    for name in STAMPS:
        assert len(ours[name]) == len(theirs[name])


@pytest.mark.parametrize("step", STEPS)
def test_rq_reads_both_alike(store: JobStore, raw_redis: "redis.Redis", step: Step) -> None:
    """What RQ makes of our record is what it makes of its own."""
    ours = Task.fetch(_enqueue(store, step), connection=raw_redis, serializer=rules.SERIALIZER)
    theirs = Task.fetch(
        _by_rq(raw_redis, step).id, connection=raw_redis, serializer=rules.SERIALIZER
    )

    for name in ("func_name", "instance", "args", "kwargs", "origin", "timeout", "result_ttl"):
        assert (name, getattr(ours, name)) == (name, getattr(theirs, name))
    for name in ("failure_ttl", "retries_left", "number_of_retries", "description", "group_id"):
        assert (name, getattr(ours, name)) == (name, getattr(theirs, name))
    assert ours.get_status() == theirs.get_status()
    assert ours.data == theirs.data
    assert ours.retry_intervals == theirs.retry_intervals
    for name in STAMPS:
        ages = (getattr(theirs, name) - getattr(ours, name)).total_seconds()
        assert 0 <= ages < 60


@pytest.mark.parametrize("step", STEPS)
def test_the_lists_are_rq_s(store: JobStore, raw_redis: "redis.Redis", step: Step) -> None:
    """The task's id stands at the end of the list of its queue, and RQ knows the queue."""
    ours = _enqueue(store, step)
    name = f"rq:queue:{rules.QUEUE_OF[step]}"

    assert raw_redis.lindex(name, -1) == ours.encode()
    theirs = _by_rq(raw_redis, step)
    assert raw_redis.lindex(name, -1) == theirs.id.encode()
    assert raw_redis.sismember("rq:queues", name)
    assert raw_redis.type(f"rq:job:{ours}") == raw_redis.type(f"rq:job:{theirs.id}") == b"hash"


def test_tasks_are_json() -> None:
    """Whoever can write to Redis cannot have a worker run what they please."""
    assert rules.SERIALIZER == "json"
    assert resolve_serializer(rules.SERIALIZER) is JSONSerializer


@pytest.mark.parametrize("step", STEPS)
def test_every_task_s_name_is_a_function_of_a_job_id(step: Step) -> None:
    """The dotted name that is enqueued leads to a function that takes exactly the id."""
    module, _, name = rules.task_function(step).rpartition(".")

    function = getattr(importlib.import_module(module), name)

    of_a_batch = dict.fromkeys(STEPS_OF_BATCHES, "batch_id")
    what = {Step.ACCOUNT: "name", Step.TEST_CALLBACK: "test_id", **of_a_batch}.get(step, "job_id")
    assert list(inspect.signature(function, eval_str=True).parameters.values()) == [
        inspect.Parameter(what, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=str)
    ]


def test_every_step_but_the_deadline_has_a_queue() -> None:
    """A step without a queue could never be started."""
    assert set(rules.QUEUE_OF) == set(Step) - {Step.DEADLINE}
    assert rules.QUEUES == ("collect", "notify", "submit")


def _ours(queue: str, client: "redis.Redis") -> ConcurrentWorker:
    return ConcurrentWorker(queue, client, 4)


def _stock(queue: str, client: "redis.Redis") -> SimpleWorker:
    return SimpleWorker([queue], connection=client, serializer=rules.SERIALIZER)


@pytest.mark.parametrize("make", [_stock, _ours])
@pytest.mark.parametrize("step", STEPS)
def test_a_worker_runs_our_record(
    store: JobStore,
    raw_redis: "redis.Redis",
    monkeypatch: pytest.MonkeyPatch,
    *,
    make: Callable[[str, "redis.Redis"], SimpleWorker],
    step: Step,
) -> None:
    """RQ's own worker and ours call the step with the job's id, and keep RQ's books."""
    ran: list[str] = []
    monkeypatch.setattr(f"worker.tasks.{step}", ran.append)
    task_id = _enqueue(store, step)
    raw_redis.delete("rq:queue:submit", "rq:queue:collect", "rq:queue:notify")
    raw_redis.rpush(f"rq:queue:{rules.QUEUE_OF[step]}", task_id)

    make(rules.QUEUE_OF[step], raw_redis).work(burst=True, logging_level="ERROR")

    assert ran == [A]
    task = Task.fetch(task_id, connection=raw_redis, serializer=rules.SERIALIZER)
    assert task.is_finished
    assert 0 < int(raw_redis.ttl(f"rq:job:{task_id}")) <= rules.RESULT_TTL
