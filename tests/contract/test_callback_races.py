"""Callbacks that are asked for again while an attempt is under way, or by a worker that is late."""

from collections.abc import Callable
from typing import Any

import pytest

from core.jobs.failures import FailureCode
from core.jobs.status import CallbackState, Step
from core.operations.callbacks import attempts
from core.operations.callbacks.attempts import AttemptFilter
from core.operations.dead_letters import DeadLetters
from tests.contract.harness import A, Bench, meanwhile
from tests.contract.scripted_server import answer
from worker.steps.notify import notify


@pytest.fixture
def ended(bench: Bench) -> Bench:
    """Return a bench whose job has ended, and whose receiver is the scripted server."""
    bench.accept(callback_url=f"{bench.server.url}/callback")
    assert bench.store.fail(A, FailureCode.LOST, "for the test")
    return bench


@pytest.fixture
def letters(ended: Bench) -> DeadLetters:
    """Return the dead letters."""
    return DeadLetters(ended.store, ended.deps.objects, ended.deps.settings)


def listed(bench: Bench) -> list[int | None]:
    """Return the statuses of the attempts that are listed, the oldest first."""
    found, _ = attempts.page(bench.store, AttemptFilter(tenant=bench.job.request.tenant), 100)
    return [one.status for one in reversed(found)]


def take_along(bench: Bench) -> Callable[[], None]:
    """Return what hands the record as it stands now to the next step, as a taken task does."""
    fields = bench.redis.hgetall(f"job:{A}")
    pairs = [str(part) for pair in fields.items() for part in pair]
    return lambda: bench.store.prefetched.put(Step.NOTIFY, A, pairs)


@pytest.mark.parametrize("status", [204, 410])
def test_a_late_task_that_saw_no_callback_owed_takes_no_new_one_away(
    ended: Bench, letters: DeadLetters, status: int
) -> None:
    """A task was taken as the callback was settled; it runs after that was asked for again."""
    ended.server.script = answer(status)
    notify(A, ended.deps)
    hand_over = take_along(ended)
    letters.resend(ended.job)

    hand_over()
    notify(A, ended.deps)

    assert len(ended.server.requests) == 1
    assert ended.due_in(Step.NOTIFY) == ended.deps.settings.watch_seconds
    ended.redis.delete("rq:queue:notify")  # the new task is lost with its worker
    ended.clock.now += ended.deps.settings.watch_seconds + 1
    assert ended.store.take_sweep_lease("token", 60)
    report = ended.store.sweep("token", 60)
    assert report is not None
    assert f"notify:{A}" in report["woken"]


@pytest.mark.parametrize("status", [204, 410, 503])
@pytest.mark.parametrize("before", ["delivered", "given up"])
def test_an_attempt_that_began_before_does_not_count_for_a_callback_that_is_sent_again(
    ended: Bench, letters: DeadLetters, status: int, before: str
) -> None:
    """However it ends, the callback is sent after it was asked for."""

    def settled_and_asked_for_again() -> None:
        if before == "delivered":
            ended.server.script = answer(204)
            notify(A, ended.deps)
        else:
            assert ended.store.give_up_callback(A, "for the test", ended.clock.now, {})
        letters.resend(ended.job)

    ended.clock.now += 3 * 86_400  # beyond the time of the first attempts
    ended.server.script = meanwhile(settled_and_asked_for_again, answer(status))
    notify(A, ended.deps)

    assert ended.job.callback_state is CallbackState.PENDING
    assert ended.due_in(Step.NOTIFY) == ended.deps.settings.watch_seconds
    sent = len(ended.server.requests)
    ended.server.script = answer(204)
    notify(A, ended.deps)
    assert (len(ended.server.requests), ended.job.callback_state) == (sent + 1, "delivered")


@pytest.mark.parametrize(("first", "then"), [(503, 503), (410, 503), (503, 410), (204, 503)])
def test_attempts_that_ran_at_a_time_are_all_listed(ended: Bench, first: int, then: int) -> None:
    """Also one that came too late to decide anything."""

    def twin() -> None:
        ended.server.script = answer(first)
        notify(A, ended.deps)

    ended.server.script = meanwhile(twin, answer(then))
    notify(A, ended.deps)

    assert listed(ended) == [first, then]


def test_no_second_attempt_begins_beside_one_that_is_under_way(
    ended: Bench, letters: DeadLetters
) -> None:
    """A callback whose task is queued, or runs, is being sent: asking again changes nothing."""
    seen: list[tuple[float | None, list[str]]] = []

    def asked_again() -> None:
        letters.resend(ended.job)
        seen.append((ended.due_in(Step.NOTIFY), ended.tasks("notify")))

    asked_again()
    ended.server.script = meanwhile(asked_again, answer(503))
    notify(A, ended.deps)
    assert seen == [(ended.deps.settings.watch_seconds, ["notify"])] * 2
    letters.resend(ended.job)

    assert ended.due_in(Step.NOTIFY) == 0
    assert ended.job.callback_attempts == 1


def test_a_replay_sends_no_callback_twice(
    ended: Bench, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may have delivered the last one before the replay is confirmed on disk."""
    ended.server.script = answer(410)
    notify(A, ended.deps)
    ended.server.script = answer(204)
    run = ended.store.scripts.run

    def delivered_at_once(name: str, payload: dict[str, Any], **options: Any) -> Any:
        done = run(name, payload, **options)
        if name == "resend":
            notify(A, ended.deps)
        return done

    monkeypatch.setattr(ended.store.scripts, "run", delivered_at_once)

    assert letters.replay_callbacks(ended.job.request.tenant, 0) == (1, False)
    assert listed(ended) == [410, 204]
    assert ended.job.callback_state is CallbackState.DELIVERED


def test_a_replay_waits_for_the_disk(
    ended: Bench, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last write is safe, and with it those before; without any, there is none to wait for."""
    ended.server.script = answer(410)
    notify(A, ended.deps)
    durable: list[bool] = []
    run = ended.store.scripts.run

    def watched(name: str, payload: dict[str, Any], **options: Any) -> Any:
        durable.append(bool(options.get("durable")))
        return run(name, payload, **options)

    monkeypatch.setattr(ended.store.scripts, "run", watched)
    tenant = ended.job.request.tenant
    assert letters.replay_callbacks(tenant, 0) == (1, False)
    assert letters.replay_callbacks(tenant, 0) == (0, False)

    assert durable == [False, True]
