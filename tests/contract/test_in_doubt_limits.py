"""What a doubt may cost, and how long it may last: few submits, none after a yes, no waiting."""

from dataclasses import replace
from typing import Any

import pytest

from core.jobs.failures import FailureCode
from core.jobs.status import Status, Step
from core.jobs.views import job_view
from core.operations.provider_results import apply_notice
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change
from core.scheduling import circuit_breakers
from tests.contract.harness import A, Bench, said
from tests.contract.scripted_server import answer
from worker.deps import Deps
from worker.steps.submit import submit

#: Seconds of a first doubt, in the tests' settings.
DOUBT = 6.0
BROKEN = said(500)
PAGE = answer(200, b"<html>Welcome</html>")


def _go_on(bench: Bench, deps: Deps) -> None:
    """Let whatever the job waits for be over: its doubt, or its account's rest."""
    if bench.job.doubt_until:
        bench.clock.now = bench.job.doubt_until
    else:
        bench.redis.delete(f"breaker:{circuit_breakers.provider('default')}")
        token = f"sweeper at {bench.clock.now} {bench.job.submits}"
        bench.redis.delete("sweep:lease")
        assert bench.store.take_sweep_lease(token, 5)
        assert bench.store.sweep(token, 5)
    submit(A, deps)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b'{"status": "Pending"}'])
def test_a_yes_that_names_no_task_waits_for_its_webhook(bench: Bench, body: bytes) -> None:
    """The webhook tells which task it is; the caller sees what is waited for, and how long."""
    bench.accept()
    bench.server.script = answer(200, body)

    submit(A, bench.hooked)

    job = bench.job
    assert (job.status, job.taken, bench.due_in(Step.SUBMIT)) == (Status.SUBMITTING, True, DOUBT)
    waiting = job_view(job)["waiting"]
    assert waiting["for"] == "provider"
    assert waiting["last_problem"] == "an answer without a task id"
    assert waiting["since"] < waiting["until"]


@pytest.mark.parametrize("most", [None, 3])
def test_a_yes_that_names_no_task_is_never_submitted_again(bench: Bench, most: int | None) -> None:
    """It is paid for: without a webhook the job ends as lost, and its caller decides."""
    bench.accept(max_resubmits=most)
    bench.server.script = PAGE
    submit(A, bench.hooked)

    _go_on(bench, bench.hooked)

    assert (bench.error, len(bench.server.requests)) == (FailureCode.LOST, 1)
    error = bench.job.error or {}
    assert "paid for" in error["message"]
    assert "send it again" in error["message"]
    assert error["retryable"] is True
    assert bench.redis.zcard("dead") == 1


def test_a_yes_that_names_no_task_is_lost_at_once_without_a_webhook(bench: Bench) -> None:
    """Nothing can tell which task it is, so nothing is waited for."""
    bench.accept(max_resubmits=3)
    bench.server.script = PAGE

    submit(A, bench.deps)

    assert (bench.error, len(bench.server.requests)) == (FailureCode.LOST, 1)


def test_answers_that_nobody_can_read_rest_the_account(bench: Bench) -> None:
    """What befell one job would befall the next."""
    bench.accept()
    bench.server.script = PAGE

    submit(A, bench.deps)

    assert bench.redis.exists(f"breaker:{circuit_breakers.provider('default')}")


@pytest.mark.parametrize("script", [PAGE, BROKEN])
def test_a_webhook_ends_the_doubt(bench: Bench, script: Any) -> None:
    """The image is collected, and nothing of the doubt is left in the record."""
    bench.accept()
    bench.server.script = script
    submit(A, bench.hooked)
    notice = Notice(kind=Kind.READY, status="Ready", provider_id="t1", url="https://x/y")

    apply_notice(bench.store, A, notice, "webhook", b"{}")

    job = bench.job
    assert (job.status, job.provider_id) == (Status.STORING, "t1")
    assert (job.doubt_reason, job.doubt_until, job.taken) == (None, None, False)
    assert job_view(job)["waiting"] is None


@pytest.mark.parametrize(("most", "submits"), [(None, 2), (0, 1), (1, 2), (3, 4)])
@pytest.mark.parametrize("webhook", [True, False])
def test_submits_after_a_doubt_are_bounded(
    bench: Bench, webhook: bool, most: int | None, submits: int
) -> None:
    """As often as the job says, else the settings; then the job is lost, and may be sent again."""
    deps = bench.hooked if webhook else bench.deps
    bench.accept(max_resubmits=most)
    bench.server.script = BROKEN
    submit(A, deps)

    while bench.job.status is not Status.FAILED:
        _go_on(bench, deps)

    assert (bench.error, len(bench.server.requests)) == (FailureCode.LOST, submits)
    assert bench.job.resubmits == submits - 1
    assert "paid for" in (bench.job.error or {})["message"]


def test_the_settings_bound_submits_after_a_doubt(bench: Bench) -> None:
    """A deployment that pays for nothing twice says 0."""
    bench.accept()
    bench.server.script = BROKEN
    settings = bench.deps.settings.model_copy(update={"max_resubmits": 0})

    submit(A, replace(bench.deps, settings=settings))

    assert (bench.error, len(bench.server.requests)) == (FailureCode.LOST, 1)


def test_a_doubt_that_nothing_can_settle_is_not_waited_for(bench: Bench) -> None:
    """Without a webhook the job goes back to its place, and is tried when the provider is back."""
    bench.accept()
    bench.server.script = BROKEN

    submit(A, bench.deps)

    job = bench.job
    assert (job.status, job.resubmits, job.posting_at) == (Status.QUEUED, 1, None)
    assert bench.redis.hget("counters", "resubmits") == "1"


def test_a_worker_that_may_be_alive_is_waited_for_without_a_webhook(bench: Bench) -> None:
    """A doubt that nobody noted lasts for as long as the request might still be under way."""
    bench.accept()
    change = Change(set={"posting_at": bench.clock.now, "posting_by": "alive"})
    assert bench.store.change(A, {Status.SUBMITTING}, change)
    settings = bench.deps.settings.model_copy(update={"provider_timeout_seconds": 1.0})
    deps = replace(bench.deps, settings=settings)

    submit(A, deps)

    assert (bench.job.resubmits, bench.due_in(Step.SUBMIT)) == (0, 3.0)
    waiting = job_view(bench.job)["waiting"]
    assert waiting["last_problem"].startswith("the worker that posted the job died")

    _go_on(bench, deps)

    assert bench.job.resubmits == 1


@pytest.mark.parametrize("script", [PAGE, BROKEN])
def test_no_doubt_outlives_the_deadline(bench: Bench, script: Any) -> None:
    """What is left of the job's time is all that a webhook is waited for."""
    bench.accept(deadline_at=bench.clock.now + 4, max_resubmits=3)
    bench.server.script = script

    submit(A, bench.hooked)

    assert bench.due_in(Step.SUBMIT) == 4
    _go_on(bench, bench.hooked)
    assert (bench.error, len(bench.server.requests)) == (FailureCode.LOST, 1)


def test_the_deadline_ends_a_doubt_that_nobody_noted(bench: Bench) -> None:
    """The worker died while it posted, and the deadline comes before the doubt's end."""
    bench.accept(deadline_at=bench.clock.now + 4)
    change = Change(set={"posting_at": bench.clock.now, "posting_by": "died"})
    assert bench.store.change(A, {Status.SUBMITTING}, change)
    submit(A, bench.hooked)
    assert bench.due_in(Step.SUBMIT) == 4
    bench.clock.now += 4

    submit(A, bench.hooked)

    assert bench.error == FailureCode.LOST
