"""Breakers: what fails is left alone, then tried with one job, then trusted again."""

from collections.abc import Callable

import pytest
import redis

from core.jobs.job import JobId
from core.jobs.status import Status
from core.operations.account_status import AccountRegistry
from core.redis.change import Change
from core.redis.store import JobStore
from core.scheduling import circuit_breakers
from core.settings.settings import Settings
from tests.contract.jobs import Clock, accept, standing
from worker.runtime.sweep import sweep_once

QUEUED, SUBMITTING, GENERATING = Status.QUEUED, Status.SUBMITTING, Status.GENERATING
PROVIDER = circuit_breakers.provider("default")
#: Longer than any rest.
LATER = 61.0


@pytest.fixture
def store(store_with: Callable[..., JobStore]) -> JobStore:
    """Return a store with three slots, whose sweep lease is taken."""
    made = store_with(slots="3", retry_base_seconds="4", retry_max_seconds="30", watch_seconds="30")
    assert made.take_sweep_lease("token", 600)
    return made


def _sweep(store: JobStore) -> None:
    assert store.sweep("token", 600) is not None


def _open_the_storage(store: JobStore) -> None:
    """Have three images refused; their jobs are gone afterwards."""
    for name in ("x", "y", "z"):
        accept(store, name)
        assert store.change(
            JobId(name), Status, Change(failed={circuit_breakers.STORAGE: "SlowDown"})
        )
        store.move(JobId(name), Status.FAILED)


def test_a_provider_that_is_away_is_asked_with_one_job_at_a_time(
    store: JobStore, clock: Clock
) -> None:
    """After a rest one job goes, and as soon as it was taken all slots are used again."""
    accept(store, "1", "2", "3", "4")

    store.move(JobId("1"), QUEUED, Change(failed={PROVIDER: "refused"}))
    store.move(JobId("2"), QUEUED)
    store.move(JobId("3"), QUEUED)
    assert standing(store, "1 2 3 4", QUEUED) == "1 2 3 4"

    clock.now += 1.9  # the shortest rest is half of the base
    _sweep(store)
    assert standing(store, "1 2 3 4", QUEUED) == "1 2 3 4"
    clock.now += 2.1
    _sweep(store)
    _sweep(store)
    assert standing(store, "1 2 3 4", SUBMITTING) == "1"

    store.move(JobId("1"), GENERATING, Change(passed=[PROVIDER]))
    assert standing(store, "2 3 4", SUBMITTING) == "2 3"


def test_each_failed_try_makes_the_rest_longer(
    store: JobStore, redis_client: "redis.Redis", clock: Clock
) -> None:
    """Rests double up to their longest, and vary by up to a half."""
    accept(store, "1")
    rests = []
    for _ in range(6):
        store.move(JobId("1"), QUEUED, Change(failed={PROVIDER: "refused"}))
        until = float(str(redis_client.hget(f"breaker:{PROVIDER}", "open_until")))
        rests.append(until - clock.now)
        clock.now = until
        _sweep(store)
        assert standing(store, "1", SUBMITTING) == "1"

    full = [4, 8, 16, 30, 30, 30]
    assert all(half / 2 <= rest <= half for half, rest in zip(full, rests, strict=True)), rests


def test_failures_that_began_together_count_once(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """Three submits that were under way when the provider went away are one failure."""
    accept(store, "1", "2", "3")

    for name in ("1", "2", "3"):
        store.move(JobId(name), QUEUED, Change(failed={PROVIDER: "refused"}))

    assert redis_client.hget(f"breaker:{PROVIDER}", "failures") == "1"


def test_a_try_that_was_heard_of_no_more_is_followed_by_another(
    store: JobStore, clock: Clock
) -> None:
    """Its worker may have died; the others must not wait for it for ever."""
    accept(store, "1", "2")
    store.move(JobId("1"), QUEUED, Change(failed={PROVIDER: "refused"}))
    store.move(JobId("2"), QUEUED)
    clock.now += LATER
    _sweep(store)
    assert standing(store, "1 2", SUBMITTING) == "1"

    clock.now += 29
    _sweep(store)
    assert standing(store, "1 2", SUBMITTING) == "1"
    clock.now += 2
    _sweep(store)

    assert standing(store, "1 2", SUBMITTING) == "1 2"


def test_nothing_is_made_while_the_bucket_is_away(store: JobStore, clock: Clock) -> None:
    """Three failures in a row keep new jobs back, until an image was stored."""
    accept(store, "1", "2", "3", "4", "5", "6", "7")
    for name in ("1", "2"):
        store.move(JobId(name), Status.STORING)
    assert standing(store, "4 5 6 7", SUBMITTING) == "4 5"

    _open_the_storage(store)
    store.move(JobId("3"), Status.STORING)
    assert standing(store, "6 7", QUEUED) == "6 7"
    clock.now += LATER
    _sweep(store)
    assert standing(store, "6 7", SUBMITTING) == "6"

    store.move(JobId("4"), Status.STORING)
    assert standing(store, "7", QUEUED) == "7"
    store.move(JobId("1"), Status.SUCCEEDED, Change(passed=[circuit_breakers.STORAGE]))
    assert standing(store, "7", SUBMITTING) == "7"


def test_single_failures_of_the_bucket_keep_nothing_back(store: JobStore) -> None:
    """Two in a row are a slip; one that goes well begins the count anew."""
    accept(store, "1", "2", "3", "4", "5")
    store.move(JobId("1"), Status.STORING)
    slip = Change(failed={circuit_breakers.STORAGE: "SlowDown"})
    for _ in range(3):
        store.change(JobId("1"), Status, slip)
        store.change(JobId("1"), Status, slip)
        store.change(JobId("1"), Status, Change(passed=[circuit_breakers.STORAGE]))

    store.move(JobId("2"), Status.STORING)

    assert standing(store, "4 5", SUBMITTING) == "4 5"


def test_an_empty_backlog_uses_up_no_try(store: JobStore, clock: Clock) -> None:
    """The try waits for a job; one that comes later is granted at once."""
    accept(store, "1")
    store.move(JobId("1"), QUEUED, Change(failed={PROVIDER: "refused"}))
    store.move(JobId("1"), Status.FAILED)
    clock.now += LATER
    _sweep(store)

    accept(store, "2", "3")

    assert standing(store, "2 3", SUBMITTING) == "2"


def test_the_trouble_is_told(store: JobStore, worker_settings: Settings) -> None:
    """An operator reads why nothing is made, for the account and for the bucket."""
    book = AccountRegistry(store, worker_settings.accounts)
    accept(store, "1")
    assert book.states()["default"]["paused"] is None
    assert book.breaker_reason(circuit_breakers.STORAGE) is None

    store.move(JobId("1"), QUEUED, Change(failed={PROVIDER: "refused"}))
    _open_the_storage(store)

    assert book.states()["default"]["paused"] == "refused"
    assert book.breaker_reason(circuit_breakers.STORAGE) == "SlowDown"


def test_an_image_that_waits_is_try_enough(store: JobStore, clock: Clock) -> None:
    """As long as one fails to be stored no other is made; but not for ever, on one job's word."""
    accept(store, "1", "2", "3", "4")
    store.move(JobId("1"), Status.STORING)
    _open_the_storage(store)
    store.move(JobId("2"), Status.FAILED)
    store.move(JobId("3"), Status.FAILED)
    store.move(JobId("4"), QUEUED)
    fails = Change(failed={circuit_breakers.STORAGE: "SlowDown"})

    for _ in range(10):
        clock.now += 29  # the shortest rest is 30
        _sweep(store)
        assert standing(store, "4", QUEUED) == "4"
        store.change(JobId("1"), Status, fails)
    clock.now += 300 - 10 * 29
    _sweep(store)

    assert standing(store, "4", SUBMITTING) == "4"


def test_inputs_that_cannot_be_read_hold_nothing_for_long(store: JobStore, clock: Clock) -> None:
    """A job that is not made yet is no try of the bucket's for an image."""
    accept(store, "1", "2", "3", "4")
    _open_the_storage(store)
    store.move(JobId("2"), QUEUED)
    clock.now += 29
    store.change(JobId("1"), Status, Change(failed={circuit_breakers.STORAGE: "AccessDenied"}))
    clock.now += LATER - 29
    _sweep(store)

    assert standing(store, "2", SUBMITTING) == "2"


def test_trouble_that_nobody_asks_about_is_forgotten(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """An account that is gone leaves no breaker behind."""
    accept(store, "1")

    store.move(JobId("1"), QUEUED, Change(failed={PROVIDER: "refused"}))

    assert 0 < redis_client.ttl(f"breaker:{PROVIDER}") <= 3600


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({}, "waited for a free slot"),
        ({"storage": "SlowDown"}, "results cannot be stored"),
        ({"provider:default": "refused"}, "the provider accepts no jobs"),
    ],
)
def test_who_waited_in_vain_is_told_why(
    store: JobStore,
    worker_settings: Settings,
    clock: Clock,
    *,
    trouble: dict[str, str],
    words: str,
) -> None:
    """The message names what kept the job waiting, and nothing of the operator's affairs."""
    late = clock.now + 100
    accept(store, "1", "2", "3", "4", deadline_at=late)
    for name in "123":
        store.change(JobId(name), Status, Change(failed=trouble))
    clock.now = late

    sweep_once(store, "token", AccountRegistry(store, worker_settings.accounts).blocking_reason)

    job = store.load(JobId("4"))
    assert job is not None
    assert job.error is not None
    assert words in job.error["message"]
    assert not any(reason in job.error["message"] for reason in trouble.values())
