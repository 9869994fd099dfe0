"""The loop around the sweep: who leads, what an outage does to it, and what it sees to besides."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from core.errors import StoreUnavailable
from core.jobs.job import JobId
from core.jobs.status import Status
from core.operations.account_status import AccountRegistry
from core.redis.store import JobStore
from core.settings.settings import Settings
from tests.conftest import Eventually
from tests.contract.jobs import accept, status_of
from worker.runtime.sweep import sweep_forever, sweep_once


@pytest.fixture
def stop() -> threading.Event:
    """Return what ends a loop."""
    return threading.Event()


class Book(AccountRegistry):
    """Ends the loop once it was asked to adopt.

    Args:
        store: Whose jobs.
        settings: Names the accounts.
        stop: What ends the loop.
    """

    def __init__(self, store: JobStore, settings: Settings, stop: threading.Event) -> None:
        super().__init__(store, settings.accounts)
        self._stop = stop

    def adopt(self) -> int:
        """End the loop."""
        self._stop.set()
        return super().adopt()


def _run(store: JobStore, book: AccountRegistry, stop: threading.Event) -> bool:
    """Run the loop in a thread; say whether it ended within its time."""
    arguments = (store, book, 0.001, stop)
    thread = threading.Thread(target=sweep_forever, args=arguments, daemon=True)
    thread.start()
    thread.join(10)
    ended = not thread.is_alive()
    stop.set()
    thread.join(10)
    return ended


def test_the_loop_looks_for_stranded_jobs(
    store_with: Callable[..., JobStore], worker_settings: Settings, stop: threading.Event
) -> None:
    """Jobs whose lane nobody serves any more are granted without anybody's doing."""
    accept(store_with(slots="4,flux-pro-1.1=1"), "1", "2")
    store = store_with(slots="4")
    assert status_of(store, "2") is Status.QUEUED

    assert _run(store, Book(store, worker_settings, stop), stop)

    assert sweep_granted(store, "2")


def sweep_granted(store: JobStore, job_id: str) -> bool:
    """Say whether a round that follows grants the job its slot."""
    store.read("delete", "sweep:lease")
    assert store.take_sweep_lease("token", 60)
    assert store.sweep("token", 60) is not None
    return status_of(store, job_id) is Status.SUBMITTING


def test_the_loop_outlives_an_outage(
    store: JobStore,
    worker_settings: Settings,
    stop: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Redis was away for a round: the next ones go on."""
    real = store.sweep
    rounds: list[str] = []

    def sweep(token: str, lease_seconds: float) -> Any:
        rounds.append(token)
        if len(rounds) == 1:
            store.read("delete", "sweep:lease")  # it does not outlive an outage
            raise StoreUnavailable("away")
        return real(token, lease_seconds)

    monkeypatch.setattr(store, "sweep", sweep)

    assert _run(store, Book(store, worker_settings, stop), stop)

    assert len(rounds) > 1


def test_a_sweeper_that_dies_is_replaced_in_seconds(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """Its lease ends by itself."""
    assert store.take_sweep_lease("died before its first round", 5)

    assert 0 < redis_client.pttl("sweep:lease") <= 5000


def test_a_job_that_was_granted_meanwhile_is_not_failed_as_waiting(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the round and its end a slot came free: the step knows what to do."""
    accept(store, "1")
    assert store.take_sweep_lease("token", 60)
    real = store.sweep

    def sweep(token: str, lease_seconds: float) -> Any:
        return {**(real(token, lease_seconds) or {}), "overdue": [JobId("1")]}

    monkeypatch.setattr(store, "sweep", sweep)

    sweep_once(store, "token")

    assert status_of(store, "1") is Status.SUBMITTING


def test_a_job_that_left_its_lane_meanwhile_is_not_put_back(
    store_with: Callable[..., JobStore], store: JobStore, redis_client: "redis.Redis"
) -> None:
    """It was listed as stranded, and then its image came, or it was granted."""
    before = store_with(slots="4,flux-pro-1.1=1")
    accept(before, "1", "2", "3")
    lane = "flux-pro-1.1"
    move = {"job": "2", "from": lane, "lane": "any"}
    before.move(JobId("2"), Status.STORING)
    assert store.scripts.run("adopt", store.payload() | move) == 0
    redis_client.zadd(f"backlog:{lane}", {"2": 0})  # what is left of it there

    assert store.scripts.run("adopt", store.payload() | move) == 0

    assert redis_client.zrange("backlog:any", 0, -1) == []
    assert redis_client.zrange(f"backlog:{lane}", 0, -1) == ["3"]


def test_after_an_outage_rounds_follow_each_other(
    store: JobStore,
    redis_client: "redis.Redis",
    worker_settings: Settings,
    stop: threading.Event,
    eventually: Eventually,
) -> None:
    """While more is due than a round takes, nobody waits for the next one."""
    redis_client.zadd("due", {f"collect:gone-{number:04d}": 1.0 for number in range(1200)})
    book = AccountRegistry(store, worker_settings.accounts)
    thread = threading.Thread(target=sweep_forever, args=(store, book, 600.0, stop))
    thread.start()
    try:
        eventually(lambda: redis_client.zcard("due") == 0)
    finally:
        stop.set()
        thread.join(10)
