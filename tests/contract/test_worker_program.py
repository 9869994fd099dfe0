"""The worker's program outlives what it works with, and takes one task's risk at a time."""

import threading
from collections.abc import Iterator, Mapping

import pytest
import redis

from core.settings import WORKER, Settings
from core.store import JobStore
from tests.contract.jobs import accept
from worker import __main__ as program
from worker.rq_worker import ConcurrentWorker


class Unlucky:
    """Stands in for RQ's worker: finds no Redis, and has the program stop the third time.

    Args:
        stop: Ends the program.
    """

    def __init__(self, stop: threading.Event) -> None:
        self.runs = 0
        self.stop = stop

    def __call__(self, *_arguments: object) -> None:
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


def test_a_task_that_was_popped_has_a_safety_copy(
    store: JobStore, raw_redis: "redis.Redis", redis_client: "redis.Redis"
) -> None:
    """A worker that dies right then leaves the task where RQ looks for such; no time limits it."""
    accept(store, "1")
    worker = ConcurrentWorker("submit", raw_redis, 1)

    taken = worker.dequeue_job_and_maintain_ttl(None)

    assert taken is not None
    assert redis_client.lrange("rq:queue:submit:intermediate", 0, -1) == ["1-submit-1"]
