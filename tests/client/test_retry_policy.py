"""How long the client waits before it sends a request again, and before it gives up."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import chain, repeat

import pytest

from fluxrelay import (
    JobFailedError,
    NotFoundError,
    RetryPolicy,
    UnavailableError,
    UnreachableError,
    WaitTimeoutError,
)
from fluxrelay.operations.batches import BatchOperations
from fluxrelay.operations.callbacks import CallbackOperations
from fluxrelay.operations.jobs import JobOperations
from fluxrelay.protocol.effects import Flow
from fluxrelay.protocol.messages import Answer, Request
from fluxrelay.protocol.retry import retry_after
from tests.client.scripted_flow import Reply, World, session
from tests.client.scripted_service import ENDED, JOB

NOW = datetime(2026, 11, 21, 16, 25, tzinfo=UTC)
GONE = UnreachableError("gone", sent=True)
QUEUED, DONE = (Answer(200, {}, json.dumps(view).encode()) for view in (JOB, ENDED))


def refusal(status: int, **headers: str) -> Answer:
    """Return a refusal."""
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()})


def waiting(seconds: float, answer: Answer) -> Callable[[World], Answer]:
    """Return the answer of a service that waits for so many seconds first."""

    def reply(world: World) -> Answer:
        world.clock += seconds
        return answer

    return reply


def test_waits_double_up_to_the_longest() -> None:
    """Each wait is twice the one before it."""
    world = World(repeat(GONE))

    with pytest.raises(UnreachableError):
        world.run(session(retries=6).call(Request("GET", "/")))

    assert world.slept == [0.5, 1, 2, 4, 8, 8]


def test_waits_are_shortened_at_random() -> None:
    """Chance takes up to half of a wait, so that clients do not come back together."""
    shares = iter([0.0, 0.5, 1.0])
    policy = RetryPolicy(random=lambda: next(shares))

    assert [policy.backoff(3) for _ in range(3)] == [2, 1.5, 1]


def test_the_service_says_when() -> None:
    """A Retry-After takes the place of our own wait."""
    replies: list[Reply] = [refusal(503, retry_after="7"), refusal(429, retry_after="0"), DONE]
    world = World(iter(replies))

    world.run(session().call(Request("GET", "/")))

    assert world.slept == [7, 0]


@pytest.mark.parametrize(
    "flow",
    [
        BatchOperations(session()).create([]),
        BatchOperations(session()).cancel("an-id"),
        BatchOperations(session()).retry("an-id"),
        JobOperations(session()).cancel_many(1, all=True),
        CallbackOperations(session()).replay(0),
    ],
)
def test_what_concerns_thousands_of_jobs_may_take_minutes(flow: Flow[object]) -> None:
    """Given up too soon, a batch of 256 MiB would be sent again beside the first one."""
    world = World(iter([refusal(404)]))

    with pytest.raises(NotFoundError):
        world.run(flow)

    assert [request.patience for request in world.sent] == [300]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        (" 12 ", 12),
        ("Sat, 21 Nov 2026 16:26:00 GMT", 60),
        ("Sat, 21 Nov 2026 16:26:00", 60),
        ("Sat, 21 Nov 2026 16:24:00 GMT", 0),
        ("soon", None),
        ("-3", None),
        ("\u0663", None),
        ("", None),
        (None, None),
    ],
)
def test_a_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    """Seconds and dates are understood; anything else is as if it were not there."""
    assert retry_after(value, NOW) == seconds


def test_the_service_does_the_waiting() -> None:
    """The client asks again at once when the service has waited as it was asked to."""
    replies: list[Reply] = [waiting(60, QUEUED), waiting(60, QUEUED), waiting(1, DONE)]
    world = World(iter(replies))

    job = world.run(JobOperations(session()).wait("an-id"))

    assert job.succeeded
    assert [request.params for request in world.sent] == [(("wait", "60"),)] * 3
    assert world.slept == [0, 0]


def test_a_service_that_does_not_wait_is_not_flooded() -> None:
    """If answers come at once, the client pauses between two looks."""
    world = World(iter([QUEUED, QUEUED, DONE]))

    world.run(JobOperations(session()).wait("an-id"))

    assert world.slept == [1, 1]


def test_a_wait_has_its_time() -> None:
    """When the time is up, the error has the job as it was last seen."""
    replies: list[Reply] = [waiting(60, QUEUED), waiting(30, QUEUED)]
    world = World(iter(replies))

    with pytest.raises(WaitTimeoutError, match="queued after 90 s") as caught:
        world.run(JobOperations(session()).wait("an-id", timeout=90))

    assert caught.value.last.id == JOB["id"]
    assert not isinstance(caught.value, JobFailedError)
    assert [request.params[0][1] for request in world.sent] == ["60", "30"]


def test_a_wait_of_no_time_looks_once() -> None:
    """A time of zero asks how the job stands."""
    world = World(iter([QUEUED]))

    with pytest.raises(WaitTimeoutError):
        world.run(JobOperations(session()).wait("an-id", timeout=0))


def test_a_wait_survives_an_outage() -> None:
    """A service that is away for minutes, in whatever way, does not end a wait."""
    away: list[Reply] = [GONE, refusal(503, retry_after="20"), refusal(502), refusal(429)]
    world = World(chain([waiting(60, QUEUED)], away * 4, [DONE]))

    assert world.run(JobOperations(session()).wait("an-id")).succeeded


def test_a_wait_does_not_sleep_through_the_end() -> None:
    """Of a long Retry-After, a wait keeps a minute: its job may end at any time."""
    world = World(iter([refusal(503, retry_after="3600"), DONE]))

    assert world.run(JobOperations(session()).wait("an-id")).succeeded
    assert world.slept == [60]


def test_a_wait_ends_with_a_long_outage() -> None:
    """After five minutes without any answer the client gives up."""
    world = World(repeat(GONE))

    with pytest.raises(UnreachableError):
        world.run(JobOperations(session()).wait("an-id"))

    assert 300 < sum(world.slept) < 320


def test_a_wait_without_any_answer_has_its_time_too() -> None:
    """If the service never answered, the end of the time shows why."""
    world = World(repeat(refusal(503)))

    with pytest.raises(UnavailableError):
        world.run(JobOperations(session()).wait("an-id", timeout=20))

    assert sum(world.slept) == 20


def test_a_refusal_ends_a_wait() -> None:
    """A job that is not there will not come."""
    world = World(iter([refusal(404)]))

    with pytest.raises(NotFoundError):
        world.run(JobOperations(session()).wait("an-id"))
