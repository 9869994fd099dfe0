"""Breakers and the job that is their one try: whatever becomes of it, others get their turn."""

from collections.abc import Callable

import pytest

from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import Status
from core.redis.change import Change
from core.redis.store import JobStore
from core.scheduling import circuit_breakers
from tests.contract.jobs import Clock, accept, standing

QUEUED, SUBMITTING = Status.QUEUED, Status.SUBMITTING
_FAILS = Change(failed={circuit_breakers.STORAGE: "SlowDown"})
#: Longer than any rest of the bucket's.
LATER = 301.0


@pytest.fixture
def store(store_with: Callable[..., JobStore]) -> JobStore:
    """Return a store with three slots, whose sweep lease is taken."""
    made = store_with(slots="3", retry_base_seconds="4", retry_max_seconds="30", watch_seconds="30")
    assert made.take_sweep_lease("token", 6000)
    return made


def _half_open(store: JobStore, clock: Clock, waiting: str) -> None:
    """Open the bucket's breaker, and let its rest pass with jobs in the backlog."""
    for name in "xyz":
        accept(store, name)
        store.change(JobId(name), Status, _FAILS)
    accept(store, *waiting.split())
    for name in "xyz":
        store.move(JobId(name), Status.FAILED)
    clock.now += LATER
    assert store.sweep("token", 6000) is not None


@pytest.mark.parametrize("code", [FailureCode.REQUEST_MODERATED, FailureCode.PROVIDER_REJECTED])
def test_a_try_that_never_came_to_the_bucket_is_followed_by_the_next(
    store: JobStore, clock: Clock, code: FailureCode
) -> None:
    """A moderated job says nothing of the bucket; it must not cost the others half a minute."""
    _half_open(store, clock, "1 2 3")
    assert standing(store, "1 2 3", SUBMITTING) == "1"

    store.fail(JobId("1"), code, "m")
    assert standing(store, "2 3", SUBMITTING) == "2"
    store.fail(JobId("2"), code, "m")

    assert standing(store, "3", SUBMITTING) == "3"


def test_a_try_that_comes_to_the_bucket_is_waited_for(store: JobStore, clock: Clock) -> None:
    """Its image is what finds out: no other one is made meanwhile."""
    _half_open(store, clock, "1 2")

    store.move(JobId("1"), Status.STORING)
    assert standing(store, "2", QUEUED) == "2"
    store.move(JobId("1"), Status.SUCCEEDED, Change(passed=[circuit_breakers.STORAGE]))

    assert standing(store, "2", SUBMITTING) == "2"


def test_another_job_s_end_is_no_end_of_the_try(store: JobStore, clock: Clock) -> None:
    """Only the job that tries makes room for the next one."""
    accept(store, "0")
    _half_open(store, clock, "1 2")
    assert standing(store, "1 2", SUBMITTING) == "1"

    store.fail(JobId("0"), FailureCode.REQUEST_MODERATED, "m")

    assert standing(store, "2", QUEUED) == "2"


def test_one_image_that_is_refused_stops_nobody(store: JobStore) -> None:
    """However often it is tried, it says nothing of other images."""
    accept(store, "1", "2", "3", "4")
    store.move(JobId("1"), Status.STORING)
    for _ in range(10):
        store.change(JobId("1"), Status, _FAILS)

    store.move(JobId("2"), Status.STORING)
    accept(store, "5")

    assert standing(store, "4 5", SUBMITTING) == "4 5"


def test_a_submit_that_is_given_back_leaves_a_result_alone(store: JobStore) -> None:
    """The webhook of an earlier submit may come while the second one is refused."""
    accept(store, "1")
    store.change(JobId("1"), {SUBMITTING}, Change(set={"posting_by": "second"}))
    store.move(JobId("1"), Status.STORING)

    back = Change(expect={"posting_by": "second"}, clear=["posting_by"])
    assert not store.move(JobId("1"), QUEUED, back, was=[SUBMITTING])

    assert standing(store, "1", Status.STORING) == "1"


def test_the_provider_s_words_break_no_script(store: JobStore) -> None:
    """A lone surrogate is replaced, for Redis cannot read it, and the job ends as a whole."""
    words = "half a pair: \ud83d"
    accept(store, "1", callback_url="https://example.com/")

    assert store.fail(JobId("1"), FailureCode.PROVIDER_ERROR, words, details={"error": words})

    job = store.load(JobId("1"))
    assert job is not None
    assert (job.status, job.callback_state) == (Status.FAILED, "pending")
    assert job.error is not None
    assert job.error["message"] == words.replace("\ud83d", "\ufffd")
