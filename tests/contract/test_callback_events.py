"""Which events a callback tells, and the news that a job is generating."""

import json
from collections.abc import Sequence

import pytest

from core.errors import CannotSendAgain
from core.jobs.callback_events import ENDS, CallbackEvent
from core.jobs.failures import FailureCode
from core.jobs.job import Job
from core.jobs.status import CallbackState, Status, Step
from core.operations.callbacks import attempts
from core.operations.callbacks.attempts import Attempt, AttemptFilter, Outcome
from core.operations.cancellation import cancel
from core.operations.dead_letters import DeadLetters
from core.redis.change import Change
from tests.contract.harness import A, Bench
from tests.contract.scripted_server import answer
from worker import tasks
from worker.steps.callbacks.progress import progress
from worker.steps.notify import notify

GENERATING = str(CallbackEvent.JOB_GENERATING)


def ask_for(bench: Bench, *events: str) -> None:
    """Have the job accepted, whose caller asks for these events."""
    bench.accept(callback_url=f"{bench.server.url}/callback", callback_events=events)


def told(bench: Bench) -> list[str]:
    """Return the types of the events that the receiver was told, in their order."""
    return [json.loads(request.body)["type"] for request in bench.server.requests]


def all_attempts(bench: Bench) -> list[Attempt]:
    """Return the attempts that are listed, the newest first."""
    found, behind = attempts.page(bench.store, AttemptFilter(tenant=bench.job.request.tenant), 100)
    assert behind is None
    return found


@pytest.mark.parametrize(
    ("asked", "state"),
    [
        ((), CallbackState.PENDING),
        (("job.failed",), CallbackState.PENDING),
        (("job.generating", "job.failed"), CallbackState.PENDING),
        (("job.succeeded",), CallbackState.NONE),
        (("job.generating", "job.succeeded"), CallbackState.NONE),
        (("job.generating",), CallbackState.NONE),
    ],
)
def test_an_end_is_told_to_who_asked_for_it(
    bench: Bench, asked: Sequence[str], state: CallbackState
) -> None:
    """The callback of an end is owed if the caller asked for this end, or chose nothing."""
    ask_for(bench, *asked)
    assert bench.store.fail(A, FailureCode.LOST, "for the test")

    assert bench.job.callback_state is state
    assert bench.tasks("notify") == (["notify"] if state is CallbackState.PENDING else [])


def test_a_cancel_is_an_event_of_its_own(bench: Bench) -> None:
    """Who asked for cancels alone is told of them."""
    ask_for(bench, "job.canceled")
    bench.generating()
    cancel(bench.store, A)

    bench.server.script = answer(204)
    notify(A, bench.deps)

    assert told(bench) == ["job.canceled"]


def test_that_a_job_is_generating_is_told_once(bench: Bench) -> None:
    """The step starts with the job's move, sends a signed event, and leaves nothing behind."""
    ask_for(bench, GENERATING)
    bench.generating()
    assert bench.tasks("notify") == ["progress"]
    assert bench.due_in(Step.PROGRESS) is not None
    bench.server.script = answer(204)

    progress(A, bench.deps)
    assert bench.due_in(Step.PROGRESS) is None
    (request,) = bench.server.requests
    assert request.headers["webhook-id"] == f"msg_{A}_generating"
    assert json.loads(request.body)["data"]["status"] == "generating"
    assert "webhook-signature" in request.headers
    (attempt,) = all_attempts(bench)
    assert (attempt.event_type, attempt.outcome, attempt.status) == (GENERATING, "delivered", 204)


@pytest.mark.parametrize("asked", [(), tuple(map(str, ENDS))])
def test_who_did_not_ask_is_not_told_of_it(bench: Bench, asked: Sequence[str]) -> None:
    """By default, a callback tells the end alone."""
    ask_for(bench, *asked)
    bench.generating()

    assert bench.tasks("notify") == []
    assert bench.due_in(Step.PROGRESS) is None


def test_the_news_is_sent_again_until_the_job_ends(bench: Bench) -> None:
    """Not taken, it is due later each time; once the job has ended, only the end is told."""
    ask_for(bench, GENERATING, "job.failed")
    bench.generating()
    bench.server.script = answer(503)
    waits = []
    for _ in range(3):
        progress(A, bench.deps)
        waits.append(bench.due_in(Step.PROGRESS) or 0)
    assert all(0.1 * 2**n <= wait <= 0.2 * 2**n for n, wait in enumerate(waits)), waits

    assert bench.store.fail(A, FailureCode.LOST, "for the test")
    assert bench.due_in(Step.PROGRESS) is None
    bench.server.requests.clear()
    progress(A, bench.deps)  # a task that was queued before
    assert bench.server.requests == []

    bench.server.script = answer(204)
    notify(A, bench.deps)
    assert told(bench) == ["job.failed"]


def test_a_late_task_takes_no_new_news_away(bench: Bench) -> None:
    """A task that saw the job before it was generating leaves the step of now to its own task."""
    ask_for(bench, GENERATING)
    fields = bench.redis.hgetall(f"job:{A}")
    bench.generating()
    pairs = [str(part) for pair in fields.items() for part in pair]
    bench.store.prefetched.put(Step.PROGRESS, A, pairs)

    progress(A, bench.deps)

    assert bench.server.requests == []
    assert bench.due_in(Step.PROGRESS) == bench.deps.settings.watch_seconds


def test_a_lost_task_is_made_good_by_the_sweep(bench: Bench) -> None:
    """The worker dies with the task: the sweep starts the step again after its lease."""
    ask_for(bench, GENERATING)
    bench.generating()
    bench.redis.delete("rq:queue:notify")
    bench.clock.now += bench.deps.settings.watch_seconds + 1
    assert bench.store.take_sweep_lease("token", 60)

    report = bench.store.sweep("token", 60)

    assert report is not None
    assert f"progress:{A}" in report["woken"]


def test_news_that_cannot_be_told_fails_no_job(bench: Bench) -> None:
    """A step that crashes each time is given up, and the job goes on."""
    ask_for(bench, GENERATING)
    bench.generating()

    def crash(*_: object) -> None:
        raise RuntimeError("for the test")

    for _ in range(10):
        with pytest.raises(RuntimeError):
            tasks.run(Step.PROGRESS, crash, A, bench.deps)

    assert bench.job.status is Status.GENERATING
    assert bench.due_in(Step.PROGRESS) is None


def test_news_about_a_canceled_job_is_dropped(bench: Bench) -> None:
    """While a canceled job's task runs on, nobody is told that it is generating."""
    ask_for(bench, GENERATING, "job.canceled")
    bench.generating()
    cancel(bench.store, A)
    bench.server.script = answer(204)

    progress(A, bench.deps)

    assert bench.server.requests == []
    assert bench.due_in(Step.PROGRESS) is None
    assert bench.job.discarding is Status.GENERATING


def test_every_attempt_is_listed(bench: Bench) -> None:
    """Attempts are kept with what came of them, newest first, and can be filtered and paged."""
    ask_for(bench)
    assert bench.store.fail(A, FailureCode.LOST, "for the test")
    for status in (503, 500, 204):
        bench.server.script = answer(status)
        notify(A, bench.deps)
        bench.clock.now += 60

    found = all_attempts(bench)
    assert [one.status for one in found] == [204, 500, 503]
    assert {one.job_id for one in found} == {A}
    assert {one.event_type for one in found} == {"job.failed"}
    assert all(isinstance(one.milliseconds, int) for one in found)
    tenant = bench.job.request.tenant
    failed = AttemptFilter(tenant=tenant, outcome=Outcome.FAILED, job=A)
    assert [one.status for one in attempts.page(bench.store, failed, 10)[0]] == [500, 503]
    assert attempts.page(bench.store, AttemptFilter(tenant="other"), 10) == ([], None)
    first, behind = attempts.page(bench.store, AttemptFilter(tenant=tenant), 2)
    rest, end = attempts.page(bench.store, AttemptFilter(tenant=tenant), 2, behind)
    assert [one.status for one in first + rest] == [204, 500, 503]
    assert end is None


def test_what_was_given_up_is_sent_again_since_a_time(bench: Bench) -> None:
    """A replay makes every callback owed again that was given up in the time, and no other."""
    ask_for(bench)
    assert bench.store.fail(A, FailureCode.LOST, "for the test")
    bench.server.script = answer(410)
    notify(A, bench.deps)
    assert _job(bench).callback_state is CallbackState.DEAD
    letters = DeadLetters(bench.store, bench.deps.objects, bench.deps.settings)
    now, tenant = bench.clock.now, bench.job.request.tenant

    assert letters.replay_callbacks(tenant, now + 1) == (0, False)
    assert letters.replay_callbacks(tenant, now - 10, now - 1) == (0, False)
    assert letters.replay_callbacks("other", now - 10) == (0, False)
    assert letters.replay_callbacks(tenant, now - 10) == (1, False)

    assert _job(bench).callback_state is CallbackState.PENDING
    assert bench.tasks("notify")[-1] == "notify"
    assert letters.replay_callbacks(tenant, now - 10) == (0, False)


def test_an_end_that_nobody_asked_for_is_no_dead_letter(bench: Bench) -> None:
    """A callback that is not owed can be neither given up nor sent again."""
    ask_for(bench, "job.succeeded")
    assert bench.store.fail(A, FailureCode.LOST, "for the test")
    bench.store.change(A, {Status.FAILED}, Change(done=[Step.NOTIFY]))

    letters = DeadLetters(bench.store, bench.deps.objects, bench.deps.settings)
    assert letters.replay_callbacks(bench.job.request.tenant, 0) == (0, False)
    with pytest.raises(CannotSendAgain, match=r"callback\.events"):
        letters.resend(bench.job)
    assert _job(bench).callback_state is CallbackState.NONE


def _job(bench: Bench) -> Job:
    return bench.job
