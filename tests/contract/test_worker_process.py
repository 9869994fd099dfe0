"""The worker's program outlives what it works with, and takes one task's risk at a time."""

import signal
import threading
from collections.abc import Iterator, Mapping

import pytest
import redis

from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from tests.contract.jobs import accept
from worker import __main__ as program
from worker.runtime.rq_worker import ConcurrentWorker


class Unlucky:
    """Stands in for RQ's worker: finds no Redis, and has the program stop the third time.

    Args:
        stop: Ends the program.
    """

    def __init__(self, stop: threading.Event) -> None:
        self.runs = 0
        self.stop = stop

    def __call__(self, *_arguments: object, **_more: object) -> None:
        """Be made, in vain."""
        self.runs += 1
        if self.runs == 3:
            self.stop.set()
        raise redis.ConnectionError


@pytest.fixture
def unlucky(monkeypatch: pytest.MonkeyPatch) -> Iterator[Unlucky]:
    """Have the program's workers lose Redis."""
    stop = threading.Event()
    made = Unlucky(stop)
    monkeypatch.setattr(program, "ConcurrentWorker", made)
    monkeypatch.setattr(program, "_RECONNECT", 0.0)
    yield made
    stop.set()


@pytest.mark.parametrize("queue", ["collect", "submit"])
def test_a_worker_that_lost_redis_goes_on(
    environment: Mapping[str, str], unlucky: Unlucky, queue: str
) -> None:
    """Also at its start, when there is none yet."""
    away = {**environment, "FLUXRELAY_REDIS_URL": "redis://127.0.0.1:1/0"}

    program._work(queue, Settings.from_env(away, WORKER), unlucky.stop)  # noqa: SLF001 - what main runs

    assert unlucky.runs == 3


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Give the signals that a worker takes back to whoever had them."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
def test_a_stop_that_comes_while_a_worker_is_made_is_heeded(raw_redis: "redis.Redis") -> None:
    """Nobody told that worker, for it was not there yet; it leaves all the same."""
    stop = threading.Event()
    worker = ConcurrentWorker("submit", raw_redis, 1)
    stop.set()
    rescue = threading.Timer(20, worker.request_stop)
    rescue.start()

    program._run_worker(worker, stop)  # noqa: SLF001 - what main runs

    assert rescue.is_alive()
    rescue.cancel()


def test_a_task_that_was_popped_has_a_safety_copy(
    store: JobStore,
    raw_redis: "redis.Redis",
    redis_client: "redis.Redis",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that dies right then leaves the task where the next one looks first."""
    ran: list[str] = []
    monkeypatch.setattr("worker.tasks.submit", ran.append)
    accept(store, "1", "2")
    popped = "rq:queue:submit:intermediate"
    redis_client.blmove("rq:queue:submit", popped, 1)  # the first half of taking one

    ConcurrentWorker("submit", raw_redis, 1).work(burst=True, logging_level="CRITICAL")

    assert ran == ["1", "2"]
    assert redis_client.llen(popped) == 0
