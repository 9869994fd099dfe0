"""Telling the caller: again until it is taken, with one message id, and not for ever."""

import pytest

from core.jobs.failures import FailureCode
from core.jobs.status import CallbackState, Step
from core.operations.dead_letters import DeadLetters
from tests.contract.harness import A, Bench, meanwhile
from tests.contract.scripted_server import answer
from worker.steps.notify import notify

DAY = 86_400.0


@pytest.fixture
def ended(bench: Bench) -> Bench:
    """Return a bench whose job has ended, and whose receiver is the scripted server."""
    bench.accept(callback_url=f"{bench.server.url}/callback")
    assert bench.store.fail(A, FailureCode.LOST, "for the test")
    return bench


def test_a_callback_that_was_not_taken_is_sent_again(ended: Bench) -> None:
    """It stays owed, and is due later each time."""
    ended.server.script = answer(503)
    waits = []
    for _ in range(4):
        notify(A, ended.deps)
        waits.append(ended.due_in(Step.NOTIFY) or 0)

    assert ended.job.callback_state is CallbackState.PENDING
    assert ended.job.callback_attempts == 4
    assert all(0.1 * 2**n <= wait <= 0.2 * 2**n for n, wait in enumerate(waits)), waits


def test_every_attempt_has_the_same_message_id(ended: Bench) -> None:
    """A receiver that is told twice can tell."""
    ended.server.script = answer(503)
    notify(A, ended.deps)
    ended.server.script = answer(204)
    notify(A, ended.deps)

    ids = [request.headers["webhook-id"] for request in ended.server.requests]
    assert ids == [f"msg_{A}"] * 2
    assert ended.job.callback_state is CallbackState.DELIVERED


def test_a_delivered_callback_is_not_sent_again(ended: Bench) -> None:
    """A task that comes twice finds nothing to do, and leaves no due time behind."""
    ended.server.script = answer(204)
    notify(A, ended.deps)

    notify(A, ended.deps)

    assert len(ended.server.requests) == 1
    assert ended.due_in(Step.NOTIFY) is None


@pytest.mark.parametrize(
    ("first", "then", "state"),
    [(204, 503, CallbackState.DELIVERED), (503, 204, CallbackState.DELIVERED)],
)
def test_of_twins_a_delivery_counts(
    ended: Bench, first: int, then: int, state: CallbackState
) -> None:
    """Two attempts at once, which one failed: whichever ends last, it was delivered."""

    def twin() -> None:
        ended.server.script = answer(first)
        notify(A, ended.deps)

    ended.server.script = meanwhile(twin, answer(then))

    notify(A, ended.deps)

    assert ended.job.callback_state is state
    assert ended.due_in(Step.NOTIFY) is None


def test_a_callback_that_nobody_takes_is_given_up(ended: Bench) -> None:
    """After a day it is a dead letter, and no longer due."""
    ended.server.script = answer(503)
    notify(A, ended.deps)
    ended.clock.now += DAY

    notify(A, ended.deps)

    assert ended.job.callback_state is CallbackState.DEAD
    assert ended.due_in(Step.NOTIFY) is None


def test_a_receiver_that_rests_is_not_called(ended: Bench) -> None:
    """No attempt is counted meanwhile, and the callback stays owed."""
    for _ in range(5):
        ended.deps.receivers.record_no_answer(ended.receiver)

    notify(A, ended.deps)

    assert ended.server.requests == []
    assert (ended.job.callback_attempts, ended.job.callback_state) == (0, CallbackState.PENDING)
    assert 0 < (ended.due_in(Step.NOTIFY) or 0) < 5


def test_attempts_that_fail_open_the_breaker(ended: Bench) -> None:
    """A receiver that was in trouble five times in a row rests; its host is there for others."""
    ended.server.script = answer(503)
    for _ in range(5):
        assert ended.deps.receivers.wait(ended.receiver) == 0
        notify(A, ended.deps)

    assert ended.deps.receivers.wait(ended.receiver) > 0
    assert ended.deps.receivers.wait(ended.neighbour) == 0


def test_silence_opens_the_breaker_of_the_host(ended: Bench) -> None:
    """A host that broke off five attempts in a row rests for all of its URLs."""
    ended.server.script = lambda _wire: None
    for _ in range(5):
        notify(A, ended.deps)

    assert ended.deps.receivers.wait(ended.neighbour) > 0


def test_an_answer_closes_the_breaker(ended: Bench) -> None:
    """Also one that is no yes: the receiver is well."""
    for _ in range(4):
        ended.deps.receivers.record_no_answer(ended.receiver)
    ended.server.script = answer(400)

    notify(A, ended.deps)

    for _ in range(4):
        ended.deps.receivers.record_no_answer(ended.receiver)
    assert ended.deps.receivers.wait(ended.receiver) == 0


def test_a_callback_that_is_sent_again_has_all_its_time(ended: Bench) -> None:
    """Days after its end the first attempt that fails is not the last one."""
    ended.clock.now += 3 * DAY
    ended.server.script = answer(503)
    deps = ended.deps
    notify(A, deps)
    assert ended.due_in(Step.NOTIFY) is None
    letters = DeadLetters(ended.store, deps.objects, deps.settings)
    letters.resend(ended.job)

    notify(A, deps)

    assert ended.job.callback_state is CallbackState.PENDING


def test_inputs_stay_as_long_as_a_record_that_is_kept_for_longer(bench: Bench) -> None:
    """Sending a callback again keeps a dead letter for longer, and its inputs with it."""
    bench.accept(
        callback_url=f"{bench.server.url}/callback", input_keys={"input_image": "_inputs/k"}
    )
    assert bench.store.fail(A, FailureCode.LOST, "for the test")
    bench.server.script = answer(204)
    notify(A, bench.deps)
    bench.redis.expire(f"job:{A}", 10)
    bench.clock.now += (bench.due_in(Step.CLEANUP) or 0) - 10

    DeadLetters(bench.store, bench.deps.objects, bench.deps.settings).resend(bench.job)

    assert (bench.due_in(Step.CLEANUP) or 0) >= bench.redis.pttl(f"job:{A}") / 1000 > 10


def test_a_receiver_that_rests_is_not_called_at_the_end_either(ended: Bench) -> None:
    """All that are owed to it may come to their end together."""
    ended.server.script = answer(503)
    notify(A, ended.deps)
    for _ in range(5):
        ended.deps.receivers.record_no_answer(ended.receiver)
    ended.clock.now += 2 * DAY

    notify(A, ended.deps)

    assert len(ended.server.requests) == 1
    assert ended.job.callback_state is CallbackState.DEAD


def test_no_callback_dies_without_an_attempt_of_its_own(ended: Bench) -> None:
    """The trouble may be that of others on the same host: this one is told at its end."""
    for _ in range(5):
        ended.deps.receivers.record_no_answer(ended.receiver)
    ended.clock.now += 2 * DAY
    ended.server.script = answer(204)

    notify(A, ended.deps)

    assert ended.job.callback_state is CallbackState.DELIVERED
