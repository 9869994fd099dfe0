"""The sweeper is killed, and frozen, at each line of a round; another one takes over."""

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import httpx
import redis

from core.operations.account_status import AccountRegistry
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from stack.servers.fluxrelay import worker_process
from stack.servers.process import ManagedProcess
from stack.stack import Stack
from tests.contract.jobs import Clock
from tests.crash.conftest import CrashingProcesses
from tests.crash.due_work import AGE, QUEUES, lay_out
from tests.crash.kill_at_every_line import EveryLine, small, started, stopped
from tests.crash.truncated_aof import everything
from tests.e2e.conftest import Customer
from worker.runtime.sweep import sweep_once

_WORKERS = ("worker.submit", "worker.collect", "worker.notify")


def test_the_sweep_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """Wherever a round dies, later ones do what it left, and every job ends as it should."""
    adrift = _set_adrift(customer)
    client: Any = customer.stack.redis()
    sweeper = crashing.sweep(customer.stack.processes["worker.sweep"].environment)
    overdue: list[str] = []
    every = EveryLine(sweeper)
    for life in every:
        overdue += customer.send(1, small)
        _make_due(client, adrift, overdue[-1])
        life.run()
    # A job whose sweeper died before it was failed is overdue again a watch later; not so long.
    client.zadd("due", {f"deadline:{job_id}": time.time() for job_id in overdue}, xx=True)
    client.delete("sweep:lease")
    started(customer, "worker.sweep")
    customer.eventually(lambda: all(customer.job(each)["status"] == "failed" for each in overdue))
    client.delete("pool:default:paused")
    started(customer, *_WORKERS)

    customer.judge(customer.wait_for_end(list(adrift.values()), 90))
    ended = customer.wait_for_end(overdue, 90)
    assert {(job["status"], job["error"]["code"]) for job in ended} == {("failed", "timed_out")}
    assert not [task for task in customer.ledger()["tasks"] if _owner(task) in overdue]
    customer.eventually(lambda: _inputs(customer) == 0, 30)
    assert client.zscore("slots:default", "gone") is None
    assert every.files == {
        f"core/{name}.py" for name in ("redis/store", "redis/scripts", "operations/account_status")
    } | {"worker/runtime/sweep.py"}
    assert len(every.lines) > 80


def _set_adrift(customer: Customer) -> dict[str, str]:
    """Bring a job to each status that the sweep looks after; return them by the step they need.

    The workers end up killed, and the pool at rest, so that what is sent from now on stays queued.
    """
    stack = customer.stack
    stopped(customer, "worker.sweep", "worker.notify")
    adrift = {"notify": _sent(customer, "succeeded")}
    stopped(customer, "worker.collect")
    adrift["collect"] = _sent(customer, "storing")
    _faults(stack, drop_webhook={})
    adrift["poll"] = _sent(customer, "generating")
    customer.eventually(lambda: _is_made(customer, adrift["poll"]))
    _faults(stack)
    stopped(customer, "worker.submit")
    adrift["submit"] = _sent(customer, "submitting")
    stack.redis().set("pool:default:paused", "by a test")
    adrift["adopt"] = _sent(customer, "queued")
    never = "_inputs/never-accepted/input_image"
    stack.s3().put_object(Bucket=stack.bucket, Key=never, Body=b"left behind")
    return adrift


def _sent(customer: Customer, status: str) -> str:
    [job_id] = customer.send(1, small)
    customer.eventually(lambda: customer.job(job_id)["status"] == status, 20)
    return job_id


def _faults(stack: Stack, **faults: object) -> None:
    httpx.post(f"{stack.sandbox_url}/sandbox/faults", json=faults, trust_env=False, timeout=60)


def _owner(task: dict[str, Any]) -> str:
    return str(task["webhook_url"]).rpartition("/")[2]


def _is_made(customer: Customer, job_id: str) -> bool:
    tasks = customer.ledger()["tasks"]
    return any(_owner(task) == job_id and task["finished_at"] for task in tasks)


def _inputs(customer: Customer) -> int:
    s3, bucket = customer.stack.s3(), customer.stack.bucket
    return s3.list_objects_v2(Bucket=bucket, Prefix="_inputs/")["KeyCount"]


def _make_due(client: Any, adrift: dict[str, str], overdue: str) -> None:
    """Lose all tasks, let all due times come, and the lease of whoever swept before be over."""
    now = time.time()
    steps = {step: job_id for step, job_id in adrift.items() if step != "adopt"}
    steps |= {"deadline": overdue, "cleanup": "never-accepted", "account": "default"}
    lost = adrift["adopt"]
    with client.pipeline() as pipeline:
        pipeline.delete("sweep:lease", *QUEUES)
        pipeline.zadd("due", {f"{step}:{job_id}": now for step, job_id in steps.items()})
        pipeline.zadd("slots:default", {"gone": now})
        pipeline.zrem("backlog:any", lost)
        pipeline.zadd("backlog:former", {lost: 0})
        pipeline.sadd("lanes", "former")
        pipeline.hset(f"job:{lost}", "lane", "former")
        pipeline.execute()


def test_a_sweeper_that_was_frozen_at_any_line_acts_on_nothing(
    environment: Mapping[str, str], redis_client: "redis.Redis", crashing: CrashingProcesses
) -> None:
    """Wherever a round stands still past its lease, what it does after that changes nothing."""
    # No power is cut here, so nothing need wait for the disk.
    variables = {**environment, "FLUXRELAY_SLOTS": "2", "FLUXRELAY_REQUIRE_AOF": "no"}
    sweeper = crashing.sweep({**os.environ, **variables}, "STOP")
    settings = Settings.from_env(variables, WORKER)
    clock = Clock()
    store = JobStore(redis_client, settings, clock)
    book = AccountRegistry(store, settings.accounts)
    every = EveryLine(sweeper)
    for life in every:
        redis_client.flushdb()
        clock.now = time.time() - AGE
        lay_out(store, book, clock, redis_client)
        if life.run():
            _take_over(store, book, clock, redis_client)
            left = everything(redis_client)
            assert sweeper.run().killed_at is None  # it goes on
            assert everything(redis_client) == left, life.place
    assert every.deaths == len(every.lines) > 80


def _take_over(store: JobStore, book: AccountRegistry, clock: Clock, client: "redis.Redis") -> None:
    """Sweep as the next one, once all leases are over; then let something new be due."""
    clock.now += 60
    client.delete("sweep:lease")
    token, _ = sweep_once(store, "")
    assert token
    book.adopt()
    client.delete(*QUEUES)
    client.zadd("due", {"submit:0003": time.time() - 1, "notify:0001": time.time() - 1})


def test_a_second_sweeper_takes_over(customer: Customer) -> None:
    """A sweeper that is frozen, and one that is killed, is replaced once its lease is over."""
    first = customer.stack.processes["worker.sweep"]
    second = worker_process(
        "sweep", 2, variables=first.environment, logs=customer.stack.directory / "logs"
    )
    customer.eventually(lambda: _led(first) == 1)
    second.start()
    try:
        second.wait_ready()
        os.kill(first.pid, signal.SIGSTOP)
        customer.eventually(lambda: _led(second) == 1)
        os.kill(first.pid, signal.SIGCONT)
        second.kill()
        customer.eventually(lambda: _led(first) == 2)
    finally:
        second.stop()
    [job_id] = customer.send(1, small)
    customer.judge(customer.wait_for_end([job_id], 20))


def _led(sweeper: ManagedProcess) -> int:
    return sweeper.output().count('"sweep.leading"')
