"""Counters count each change once; gauges show how things stand."""

from collections.abc import Callable

import pytest
import redis

from core.change import Change
from core.figures import MARGIN_BOUNDS, RESUBMITS, look, margin_counts
from core.job import FailureCode, JobId, Status, Step
from core.settings import Settings
from core.store import JobStore
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

    counters = look(store, worker_settings.accounts).counters

    assert counters == {
        "accepted": 3,
        "ended:succeeded": 1,
        "ended:failed:lost": 1,
        "margin:120": 1,
        "margin:sum": 100.5,
    }


def test_a_repeated_create_is_counted_once(store: JobStore, worker_settings: Settings) -> None:
    """The same command again, because its answer was lost, is no second job."""
    accept(store, "1")
    accept(store, "1")

    assert look(store, worker_settings.accounts).counters["accepted"] == 1


def test_a_change_that_does_not_happen_counts_nothing(
    store: JobStore, worker_settings: Settings
) -> None:
    """Of two that settle a doubt, one does."""
    accept(store, "1")
    for _ in range(2):
        settle = Change(expect={"resubmits": ""}, add={"resubmits": 1}, count={RESUBMITS: 1})
        store.change(JobId("1"), {Status.SUBMITTING}, settle)

    assert look(store, worker_settings.accounts).counters[RESUBMITS] == 1


@pytest.mark.parametrize(
    ("margin", "bound"),
    [(-3, "0"), (0, "0"), (0.1, "5"), (5, "5"), (599, "600"), (600, "600"), (601, "inf")],
)
def test_margins_have_classes(margin: float, bound: str) -> None:
    """Each is counted in the narrowest class that holds it."""
    assert margin_counts(margin) == {f"margin:{bound}": 1, "margin:sum": margin}
    assert sorted(MARGIN_BOUNDS) == list(MARGIN_BOUNDS)


def test_how_things_stand(
    store: JobStore, worker_settings: Settings, redis_client: "redis.Redis", clock: Clock
) -> None:
    """Waiting jobs, held slots, tasks, what is overdue, and what is in trouble."""
    accounts = worker_settings.accounts
    accept(store, "1", "2", "3")
    for name in "123":
        assert not look(store, accounts).troubles["storage"]
        store.change(JobId(name), Status, Change(failed={"storage": "SlowDown"}))
    before = look(store, accounts)
    assert (before.overdue, before.overdue_seconds) == (0, 0)

    clock.now += 40
    figures = look(store, accounts)

    assert figures.backlog["any"] == 1
    assert figures.slots["default"][0] == 2
    assert figures.tasks == {"collect": 0, "notify": 0, "submit": 2}
    assert (figures.overdue, figures.overdue_seconds) == (2, 10)
    assert figures.troubles == {"storage": True, "provider:default": False}
    assert redis_client.zscore("due", f"{Step.SUBMIT}:1") is not None
