"""A receiver that says when to come again (`Retry-After`) is not called before, within bounds."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import CallbackState, Step
from stack.receiver import Answer, CallbackReceiver
from tests.contract.harness import A, Bench
from tests.contract.jobs import make_request
from tests.contract.scripted_server import answer
from worker.clients.callbacks import BREAKER_OPEN
from worker.clients.receiver_breakers import ReceiverBreakers
from worker.steps.notify import notify

DAY, HOUR = 86_400.0, 3600.0
OTHER = JobId("another")


@pytest.fixture
def ended(bench: Bench) -> Bench:
    """Return a bench whose job has ended, and whose receiver is the scripted server.

    Receivers rest by the clock of the test, and an attempt counts as taking up to 15 s.
    """
    bench.accept(callback_url=f"{bench.server.url}/callback")
    assert bench.store.fail(A, FailureCode.LOST, "for the test")
    rng = random.Random(1)  # noqa: S311 - no secret
    receivers = ReceiverBreakers(attempt_seconds=15.0, clock=bench.clock, rng=rng)
    return replace(bench, deps=replace(bench.deps, receivers=receivers))


def _date(bench: Bench, seconds: float) -> str:
    moment = datetime.fromtimestamp(bench.clock.now + seconds, tz=UTC)
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize("status", [429, 503, 500, 404, 413, 301])
def test_a_receiver_is_not_called_before_the_time_it_names(ended: Bench, status: int) -> None:
    """Whatever the answer is, the next attempt is due when it says, and one is counted."""
    ended.server.script = answer(status, b"", "retry-after: 120")

    notify(A, ended.deps)

    assert ended.due_in(Step.NOTIFY) == 120
    assert (ended.job.callback_state, ended.job.callback_attempts) == (CallbackState.PENDING, 1)


def test_a_date_is_read_as_well(ended: Bench) -> None:
    """The header's other form is a date of HTTP."""
    ended.server.script = answer(503, b"", f"Retry-After: {_date(ended, 300)}")

    notify(A, ended.deps)

    assert ended.due_in(Step.NOTIFY) == 300


@pytest.mark.parametrize("stated", ["3601", "86400", "999999999999999999999", "a date"])
def test_no_receiver_is_waited_for_longer_than_an_hour(ended: Bench, stated: str) -> None:
    """A slip in the header, or in its clock, does not cost a callback its day."""
    stated = _date(ended, 30 * DAY) if stated == "a date" else stated
    ended.server.script = answer(503, b"", f"retry-after: {stated}")

    notify(A, ended.deps)

    assert ended.due_in(Step.NOTIFY) == HOUR


def test_the_wait_ends_with_the_time_there_is_for_attempts(ended: Bench) -> None:
    """What would be given up before the pause ends is tried once more at its end."""
    ended.server.script = answer(503, b"", "retry-after: 3000")
    ended.clock.now += DAY - 100

    notify(A, ended.deps)

    assert ended.due_in(Step.NOTIFY) == 100
    assert ended.job.callback_state is CallbackState.PENDING


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("late", [0.0, 1.0, HOUR])
def test_a_pause_does_not_cost_a_callback_its_last_attempt(
    ended: Bench, status: int, late: float
) -> None:
    """At its end it is called although the receiver asked for longer; that attempt decides."""
    ended.server.script = answer(503, b"", "retry-after: 3000")
    ended.clock.now += DAY - 100
    notify(A, ended.deps)
    ended.server.script = answer(status, b"", "retry-after: 3000")
    ended.clock.now += 100 + late

    notify(A, ended.deps)

    assert ended.job.callback_attempts == 2
    assert [entry["status"] for entry in ended.job.callback_log] == [503, status]
    end = CallbackState.DELIVERED if status == 200 else CallbackState.DEAD
    assert (ended.job.callback_state, ended.due_in(Step.NOTIFY)) == (end, None)


@pytest.mark.parametrize("left", [0.01, 1.0, 60.0, 1700.0])
def test_the_last_wait_is_shortened(ended: Bench, left: float) -> None:
    """However long the next wait would be, there is an attempt when the time ends."""
    ended.redis.hset(f"job:{A}", "callback_attempts", "40")
    ended.server.script = answer(500, b"")
    ended.clock.now += DAY - left

    notify(A, ended.deps)

    assert ended.due_in(Step.NOTIFY) == pytest.approx(left, abs=1e-4)
    assert ended.job.callback_state is CallbackState.PENDING


@pytest.mark.parametrize("left", [0.1, 0.5, 0.9])
def test_a_receiver_in_trouble_is_not_waited_for_beyond_the_end(ended: Bench, left: float) -> None:
    """A callback that has to wait for its receiver's breaker comes up when its time ends."""
    ended.clock.now += DAY - left
    _is_silent(ended)

    notify(A, ended.deps)

    assert ended.job.callback_attempts == 0
    assert ended.due_in(Step.NOTIFY) == pytest.approx(left, abs=1e-4)


@pytest.mark.parametrize("stated", ["0", "-5", "soon", "", "1.5", "Wed, 99 Foo 2026"])
def test_what_names_no_later_time_changes_nothing(ended: Bench, stated: str) -> None:
    """It comes again with the usual wait, which is no shorter for it."""
    ended.server.script = answer(503, b"", f"retry-after: {stated}")

    notify(A, ended.deps)

    assert 0.1 <= (ended.due_in(Step.NOTIFY) or 0) <= 0.2


@pytest.mark.parametrize("status", [200, 204, 410])
def test_an_end_is_not_put_off(ended: Bench, status: int) -> None:
    """A callback that was taken, or is wanted no more, is done."""
    ended.server.script = answer(status, b"", "retry-after: 120")

    notify(A, ended.deps)

    assert ended.due_in(Step.NOTIFY) is None
    assert ended.deps.receivers.wait(ended.receiver) == 0


def test_other_callbacks_of_that_url_wait_as_well(ended: Bench, receiver: CallbackReceiver) -> None:
    """One answer is enough, and it holds for its URL alone, not for its neighbours on the host."""
    url = receiver.url
    for job_id in (A, OTHER):
        now = ended.clock.now
        fields = {"created_at": now, "deadline_at": now + 3600, "callback_url": url}
        ended.redis.delete(f"job:{job_id}")
        ended.store.create(job_id, make_request(**fields))
        assert ended.store.fail(job_id, FailureCode.LOST, "for the test")
    receiver.script(Answer(status=429, headers=(("Retry-After", "120"),)))
    notify(A, ended.deps)

    notify(OTHER, ended.deps)

    assert len(receiver.callbacks) == 1
    other = ended.store.load(OTHER)
    assert other is not None
    assert (other.callback_state, other.callback_attempts) == (CallbackState.PENDING, 0)
    assert 0 < ended.deps.receivers.wait(ended.receiver) <= 120
    assert ended.deps.receivers.wait(ended.neighbour) == 0


@pytest.fixture
def rejected(ended: Bench) -> Bench:
    """Return the same with one attempt behind it, of a callback that has its day to go."""
    ended.server.script = answer(503, b"")
    notify(A, ended.deps)
    return ended


def _is_silent(bench: Bench) -> None:
    """Have the receiver's host be silent so often that it rests for a second at least."""
    for _ in range(5):
        bench.deps.receivers.record_no_answer(bench.receiver)


@pytest.mark.parametrize("late", [0.0, 0.5])
def test_a_rest_is_no_last_attempt(rejected: Bench, late: float) -> None:
    """Its host was called before its end only: it waits until somebody calls that again."""
    rejected.clock.now += DAY - 0.25
    _is_silent(rejected)
    rejected.clock.now += 0.25 + late

    notify(A, rejected.deps)

    assert rejected.job.callback_state is CallbackState.PENDING
    assert 0 < (rejected.due_in(Step.NOTIFY) or 0) <= 2
    assert len(rejected.server.requests) == 1


@pytest.mark.parametrize("status", [204, 503])
def test_a_rest_at_the_end_is_followed_by_the_last_attempt(rejected: Bench, status: int) -> None:
    """The first that comes up after the rest is called, and what comes of it decides."""
    rejected.clock.now += DAY - 0.25
    _is_silent(rejected)
    rejected.clock.now += 0.25
    notify(A, rejected.deps)
    rejected.server.script = answer(status, b"")
    rejected.clock.now += rejected.due_in(Step.NOTIFY) or 0

    notify(A, rejected.deps)

    end = CallbackState.DELIVERED if status == 204 else CallbackState.DEAD
    assert (rejected.job.callback_state, rejected.due_in(Step.NOTIFY)) == (end, None)
    assert len(rejected.server.requests) == 2


@pytest.mark.parametrize(
    ("late", "state"),
    [(14.0, CallbackState.PENDING), (15.0, CallbackState.DEAD), (HOUR, CallbackState.DEAD)],
)
def test_what_another_found_out_after_the_end_counts(
    rejected: Bench, late: float, state: CallbackState
) -> None:
    """An attempt for another callback, which certainly began after this one's end, is enough."""
    rejected.clock.now += DAY + late
    _is_silent(rejected)

    notify(A, rejected.deps)

    assert rejected.job.callback_state is state
    assert len(rejected.server.requests) == 1
    if state is CallbackState.DEAD:
        assert rejected.job.callback_log[-1]["error"] == BREAKER_OPEN
