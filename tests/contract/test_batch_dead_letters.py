"""A batch's callback that was given up: listed, sent again, dismissed, and gone with its batch."""

from collections.abc import Callable
from typing import Any

import pytest

from core.batches.batch import BatchStatus
from core.batches.plans import BatchPlans
from core.errors import CannotSendAgain
from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import CallbackState, Step
from core.operations.callbacks import attempts
from core.operations.callbacks.attempts import AttemptFilter
from core.operations.dead_letter_list import Kind, LetterFilter
from core.operations.dead_letters import DeadLetters
from core.redis.change import Change
from tests.contract.batches import B, accept, load, sweep
from tests.contract.harness import A, Bench, meanwhile
from tests.contract.scripted_server import answer
from worker.steps.batches import announce, write_results
from worker.steps.notify import notify


@pytest.fixture
def completed(bench: Bench) -> Bench:
    """Return a bench whose batch of one failed job is complete, and whose receiver is scripted."""
    accept(bench.store, "a", callback_url=f"{bench.server.url}/batch")
    sweep(bench.store)
    assert bench.store.fail(JobId("a"), FailureCode.INVALID_INPUT, "for the test")
    write_results(B, bench.deps)
    return bench


@pytest.fixture
def dead(completed: Bench) -> Bench:
    """Return that bench with the callback given up, and a receiver that would take it now."""
    completed.server.script = answer(410)
    announce(B, completed.deps)
    assert load(completed.store).callback_state is CallbackState.DEAD
    completed.server.script = answer(204)
    return completed


@pytest.fixture
def letters(bench: Bench) -> DeadLetters:
    """Return the dead letters."""
    return DeadLetters(bench.store, bench.deps.objects, bench.deps.settings)


def listed(letters: DeadLetters, **wanted: Any) -> list[str]:
    """Return the letters on the first page."""
    page = letters.page(LetterFilter(**wanted), 100)
    return [f"{letter.kind}:{letter.about.id}" for letter in page.letters]


def due_in(bench: Bench) -> float | None:
    """Return the seconds until the callback's step is started; None: nobody watches it."""
    at = bench.redis.zscore("due", f"{Step.ANNOUNCE}:{B}")
    return None if at is None else float(at) - bench.clock.now


def test_it_is_listed_in_the_step_that_gives_it_up(dead: Bench, letters: DeadLetters) -> None:
    """For its tenant and for the operator, with the batch; it has no failure code."""
    (letter,) = letters.page(LetterFilter(tenant="demo"), 10).letters

    assert (letter.kind, letter.at) == (Kind.BATCH, dead.clock.now)
    assert (letter.batch, letter.job) == (load(dead.store), None)
    assert listed(letters) == listed(letters, kind=Kind.BATCH) == [f"batch:{B}"]
    for nothing in ({"kind": Kind.CALLBACK}, {"code": FailureCode.LOST}, {"tenant": "other"}):
        assert listed(letters, **nothing) == []


def test_a_replay_sends_callbacks_of_jobs_and_of_batches(dead: Bench, letters: DeadLetters) -> None:
    """All that were given up in the time are owed again; in the list there is nothing left."""
    dead.accept(callback_url=f"{dead.server.url}/job")
    assert dead.store.fail(A, FailureCode.INVALID_INPUT, "for the test")
    dead.server.script = answer(410)
    dead.clock.now += 60
    notify(A, dead.deps)
    assert listed(letters) == [f"batch:{B}", f"callback:{A}"]

    assert letters.replay_callbacks("demo", dead.clock.now + 1) == (0, False)
    assert letters.replay_callbacks("other", 0) == (0, False)
    assert letters.replay_callbacks("demo", 0, dead.clock.now) == (1, False)
    assert load(dead.store).callback_state is CallbackState.PENDING
    assert listed(letters) == [f"callback:{A}"]
    assert letters.replay_callbacks("demo", 0) == (1, False)

    assert dead.job.callback_state is CallbackState.PENDING
    assert listed(letters) == []
    queued = [str(task) for task in dead.redis.lrange("rq:queue:notify", -2, -1)]
    assert [task.rpartition("-")[0] for task in queued] == [f"{B}-announce", f"{A}-notify"]


def test_a_replay_of_a_batch_s_callback_sends_it_once(
    dead: Bench, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a worker has delivered it before the replay is confirmed, which it is, on disk."""
    durable: list[bool] = []
    run = dead.store.scripts.run

    def delivered_at_once(name: str, payload: dict[str, Any], **options: Any) -> Any:
        durable.append(bool(options.get("durable")))
        done = run(name, payload, **options)
        if name == "resend_batch":
            announce(B, dead.deps)
        return done

    monkeypatch.setattr(dead.store.scripts, "run", delivered_at_once)

    assert letters.replay_callbacks("demo", 0) == (1, False)
    assert durable[-1]
    assert load(dead.store).callback_state is CallbackState.DELIVERED
    found, _ = attempts.page(dead.store, AttemptFilter(tenant="demo", batch=B), 10)
    assert [one.status for one in found] == [204, 410]


def test_it_is_sent_again_by_itself(dead: Bench, letters: DeadLetters) -> None:
    """The letter leaves the list in the same step, and comes back if that fails as well."""
    letters.resend(load(dead.store))
    assert listed(letters) == []

    dead.server.script = answer(410)
    announce(B, dead.deps)

    assert listed(letters) == [f"batch:{B}"]
    dead.server.script = answer(204)
    letters.resend(load(dead.store))
    announce(B, dead.deps)
    assert listed(letters) == []
    assert load(dead.store).callback_attempts == 3


def test_what_makes_no_sense_is_refused(bench: Bench, letters: DeadLetters) -> None:
    """A batch without a callback, one that runs, and one that is gone."""
    accept(bench.store, "a")
    with pytest.raises(CannotSendAgain, match="no callback"):
        letters.resend(load(bench.store))
    bench.redis.flushdb()
    accept(bench.store, "a", callback_url=bench.server.url)
    with pytest.raises(CannotSendAgain, match="runs"):
        letters.resend(load(bench.store))
    sweep(bench.store)
    assert bench.store.fail(JobId("a"), FailureCode.INVALID_INPUT, "for the test")
    write_results(B, bench.deps)
    gone = load(bench.store)
    bench.redis.delete(f"batch:{B}")
    with pytest.raises(CannotSendAgain, match="no longer kept"):
        letters.resend(gone)


def test_dismissed_it_is_gone(dead: Bench, letters: DeadLetters) -> None:
    """Only the letter is: the batch stays as it is. A second time there is nothing to do."""
    (letter,) = letters.page(LetterFilter(), 1).letters

    assert [letters.dismiss(letter), letters.dismiss(letter)] == [True, False]

    assert listed(letters) == []
    assert load(dead.store) == letter.batch
    assert dead.redis.zcard("dead") == dead.redis.zcard("dead:demo") == 0


def test_it_goes_with_its_batch(dead: Bench, letters: DeadLetters) -> None:
    """The next sweep after the record's end leaves nothing; before, it changes nothing."""
    dead.clock.now += 10 * 86_400
    sweep(dead.store)
    assert listed(letters) == [f"batch:{B}"]

    dead.redis.delete(f"batch:{B}")  # as when its time is over
    assert listed(letters) == []
    dead.clock.now += 10 * 86_400
    sweep(dead.store)

    assert dead.redis.zcard("dead") == dead.redis.zcard("dead:demo") == 0
    due = [str(member) for member in dead.redis.zrange("due", 0, -1)]
    assert not any(member.startswith("forget:") for member in due)


@pytest.mark.parametrize("status", [204, 410, 503])
def test_an_attempt_that_began_before_does_not_count_for_one_that_is_sent_again(
    completed: Bench, letters: DeadLetters, status: int
) -> None:
    """However it ends, the callback is sent after it was asked for; all attempts are listed."""
    completed.server.script = meanwhile(
        _delivered_and_asked_for(completed, letters), answer(status)
    )
    announce(B, completed.deps)

    assert load(completed.store).callback_state is CallbackState.PENDING
    assert due_in(completed) == completed.deps.settings.watch_seconds
    completed.server.script = answer(204)
    announce(B, completed.deps)
    assert load(completed.store).callback_state is CallbackState.DELIVERED
    found, _ = attempts.page(completed.store, AttemptFilter(tenant="demo"), 10)
    assert [one.status for one in found] == [204, status, 204]


def _delivered_and_asked_for(bench: Bench, letters: DeadLetters) -> Callable[[], None]:
    def twin() -> None:
        bench.server.script = answer(204)
        announce(B, bench.deps)
        letters.resend(load(bench.store))

    return twin


def test_no_second_attempt_begins_beside_one_that_is_under_way(
    completed: Bench, letters: DeadLetters
) -> None:
    """A callback whose task is queued, or runs, is being sent: asking again changes nothing."""
    seen: list[float | None] = []

    def asked_again() -> None:
        letters.resend(load(completed.store))
        seen.append(due_in(completed))

    asked_again()
    completed.server.script = meanwhile(asked_again, answer(503))
    announce(B, completed.deps)
    assert seen == [completed.deps.settings.watch_seconds] * 2
    letters.resend(load(completed.store))
    assert due_in(completed) == 0


def test_a_late_run_that_saw_no_callback_owed_takes_no_new_one_away(
    dead: Bench, letters: DeadLetters
) -> None:
    """What it would change holds only while the callback is not owed."""
    letters.resend(load(dead.store))
    unless = {"callback_state": str(CallbackState.PENDING)}
    change = Change(unless=unless, done=[Step.ANNOUNCE])

    assert not dead.store.execute(BatchPlans(dead.store).change(B, BatchStatus.COMPLETED, change))
    assert due_in(dead) == dead.deps.settings.watch_seconds
