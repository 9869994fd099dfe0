"""Counters count each change once; gauges show how things stand."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import redis

from core.jobs.callback_events import CallbackEvent
from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import TERMINAL, Status, Step
from core.operations.account_status import AccountRegistry
from core.operations.callbacks import samples
from core.operations.metrics import MARGIN_BOUNDS, RESUBMITS, margin_counts, take_snapshot
from core.redis.change import Change
from core.redis.store import JobStore
from core.scheduling import circuit_breakers
from core.settings.settings import Settings
from tests.contract.jobs import Clock, accept


@pytest.fixture
def store(store_with: Callable[..., JobStore]) -> JobStore:
    """Return a store with two slots."""
    return store_with(slots="2", watch_seconds="30")


def test_each_end_is_counted_once(store: JobStore, worker_settings: Settings) -> None:
    """A twin that comes late moves nothing and counts nothing."""
    accept(store, "1", "2", "3")
    store.move(JobId("1"), Status.STORING)
    for _ in range(2):
        store.move(JobId("1"), Status.SUCCEEDED, Change(count=margin_counts(100.5)))
        store.fail(JobId("2"), FailureCode.LOST, "m")

    counters = take_snapshot(store, worker_settings.accounts).counters

    assert counters == {
        "accepted": 3,
        "ended:succeeded": 1,
        "ended:failed:lost": 1,
        "margin:120": 1,
        "margin:sum": 100.5,
    }


def test_attempts_at_callbacks_are_counted_by_outcome(
    store: JobStore, worker_settings: Settings
) -> None:
    """As many count as are listed: also one that came late, and of a test the first of two runs."""
    accept(store, "1", callback_url="https://app.example/hook")
    store.fail(JobId("1"), FailureCode.LOST, "m")
    failed = {"type": "job.failed", "at": "1.5", "outcome": "failed", "error": "ConnectError"}
    attempted = Change(expect={"callback_state": "pending"}, attempt=failed)
    for _ in range(2):
        assert store.change(JobId("1"), TERMINAL, attempted)
    assert not store.change(JobId("1"), TERMINAL, replace(attempted, expect={"callback_state": ""}))
    url, delivered = "https://app.example/hook", failed | {"outcome": "delivered"}
    order = samples.order(store, "t1", "demo", url, CallbackEvent.TEST)
    store.scripts.run(*order[:2])
    for _ in range(2):  # of two runs, the first counts
        samples.record(store, "t1", delivered)

    counters = take_snapshot(store, worker_settings.accounts).counters

    found = {name: count for name, count in counters.items() if name.startswith("callbacks:")}
    assert found == {"callbacks:job:failed": 3, "callbacks:test:delivered": 1}


def test_a_repeated_create_is_counted_once(store: JobStore, worker_settings: Settings) -> None:
    """The same command again, because its answer was lost, is no second job."""
    accept(store, "1")
    accept(store, "1")

    assert take_snapshot(store, worker_settings.accounts).counters["accepted"] == 1


def test_a_change_that_does_not_happen_counts_nothing(
    store: JobStore, worker_settings: Settings
) -> None:
    """Of two that settle a doubt, one does."""
    accept(store, "1")
    for _ in range(2):
        settle = Change(expect={"resubmits": ""}, add={"resubmits": 1}, count={RESUBMITS: 1})
        store.change(JobId("1"), {Status.SUBMITTING}, settle)

    assert take_snapshot(store, worker_settings.accounts).counters[RESUBMITS] == 1


@pytest.mark.parametrize(
    ("margin", "bound"),
    [(-3, "0"), (0, "0"), (0.1, "5"), (5, "5"), (599, "600"), (600, "600"), (601, "inf")],
)
def test_margins_have_classes(margin: float, bound: str) -> None:
    """Each is counted in the narrowest class that holds it."""
    assert margin_counts(margin) == {f"margin:{bound}": 1, "margin:sum": margin}
    assert sorted(MARGIN_BOUNDS) == list(MARGIN_BOUNDS)


def test_an_account_that_rests_shows(
    store: JobStore, worker_settings: Settings, redis_client: "redis.Redis"
) -> None:
    """Until when it is granted nothing, or less than it has, and why, where the reason is told."""
    accounts = worker_settings.accounts
    book = AccountRegistry(store, accounts)
    redis_client.set("pool:default:paused", "the provider answered 503", px=60_000)
    redis_client.set("pool:default:ceiling", "1", px=30_000)

    state, figures = book.states()["default"], take_snapshot(store, accounts)

    assert (state["paused"], state["ceiling"]) == ("the provider answered 503", 1)
    # The tests' clock stands still in June 2025; Redis counts the pause down.
    assert (state["paused_until"] or "").startswith(("2025-06-15T15:07:39", "2025-06-15T15:07:40"))
    assert (state["ceiling_until"] or "").startswith(("2025-06-15T15:07:09", "2025-06-15T15:07:10"))
    assert 58 < figures.pauses["default"] <= 60
    assert figures.ceilings == {"default": 1}


def test_an_account_that_works_shows_no_rest(store: JobStore, worker_settings: Settings) -> None:
    """All its slots are granted, and nothing is waited for."""
    figures = take_snapshot(store, worker_settings.accounts)

    assert figures.pauses == {"default": 0.0}
    assert figures.ceilings == {"default": worker_settings.accounts[0].slots.total}


def test_an_open_breaker_is_a_rest_with_an_end(
    store: JobStore, worker_settings: Settings, clock: Clock
) -> None:
    """The provider is left alone until then; after that it is tried, and only the reason stays."""
    book = AccountRegistry(store, worker_settings.accounts)
    accept(store, "1")
    store.move(
        JobId("1"), Status.QUEUED, Change(failed={circuit_breakers.provider("default"): "500"})
    )

    opened = book.states()["default"]
    clock.now += 60
    tried = book.states()["default"]

    assert (opened["paused"], tried["paused"]) == ("500", "500")
    assert opened["paused_until"] is not None
    assert tried["paused_until"] is None


def test_how_things_stand(
    store: JobStore, worker_settings: Settings, redis_client: "redis.Redis", clock: Clock
) -> None:
    """Waiting jobs, held slots, tasks, what is overdue, and what is in trouble."""
    accounts = worker_settings.accounts
    accept(store, "1", "2", "3")
    for name in "123":
        assert not take_snapshot(store, accounts).open_breakers["storage"]
        store.change(JobId(name), Status, Change(failed={"storage": "SlowDown"}))
    before = take_snapshot(store, accounts)
    assert (before.overdue, before.overdue_seconds) == (0, 0)

    clock.now += 40
    figures = take_snapshot(store, accounts)

    assert figures.backlog["any"] == 1
    assert figures.slots["default"][0] == 2
    assert figures.tasks == {"collect": 0, "notify": 0, "submit": 2}
    assert (figures.overdue, figures.overdue_seconds) == (2, 10)
    assert [name for name, is_open in figures.open_breakers.items() if is_open] == ["storage"]
    assert figures.open_breakers["provider:default"] is False
    assert redis_client.zscore("due", f"{Step.SUBMIT}:1") is not None
