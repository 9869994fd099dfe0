"""The task of a job that ended before it: whatever is heard of it is recorded, nothing is done."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.jobs.status import Status, Step
from core.operations.provider_results import apply_notice
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change
from tests.contract.canceled_jobs import (
    DOUBT,
    FAILED,
    READY,
    TAKEN,
    canceled_in_doubt,
    discarding,
    over,
    record,
    submit_during_cancel,
)
from tests.contract.harness import A, Bench, said
from tests.contract.scripted_server import Script, answer
from worker.steps.submit import submit
from worker.tasks import run


def test_an_answer_after_the_cancel_names_the_task(bench: Bench) -> None:
    """The submit step goes on: the task is known, its cost recorded, and its poll due."""
    submit_during_cancel(bench, TAKEN)

    assert not over(bench)
    job = bench.job
    assert (job.discarding, job.provider_id, job.cost) == (Status.GENERATING, "t1", 5.0)
    assert bench.due_in(Step.SUBMIT) is None
    assert bench.due_in(Step.POLL) == pytest.approx(1, abs=1)


@pytest.mark.parametrize(
    "script",
    [said(429), said(402), said(403), said(503, {"detail": "over capacity, shedding requests"})],
    ids=["busy", "no credits", "refused key", "overloaded"],
)
def test_a_submit_that_was_not_taken_ends_it(bench: Bench, script: Script) -> None:
    """The job does not go back to the backlog; nothing was made, so nothing is discarded."""
    submit_during_cancel(bench, script)

    assert over(bench)
    assert bench.redis.zcard(f"backlog:{record(bench)['lane']}") == 0
    assert bench.job.resubmits == 0


def test_a_busy_provider_was_paid_nothing(bench: Bench) -> None:
    """The view says that nothing was discarded, and the account's ceiling is lowered as ever."""
    submit_during_cancel(bench, said(429))

    assert over(bench)
    assert (bench.job.discarded, bench.job.cost) == (False, None)
    assert bench.redis.exists("pool:default:paused") == 1  # it held the account's only task


def test_a_rejected_submit_ends_it(bench: Bench) -> None:
    """What the provider says against the job is no error of a canceled one."""
    submit_during_cancel(bench, said(422, {"detail": "bad prompt"}))

    assert over(bench)
    assert not bench.job.discarded


@pytest.mark.parametrize("script", [said(500), answer(200, b"<html>")], ids=["500", "no task id"])
def test_a_doubt_is_waited_out_for_the_slot_s_sake(bench: Bench, script: Script) -> None:
    """The provider may have the task until the doubt is over; it is never posted again."""
    submit_during_cancel(bench, script, bench.hooked)
    assert not over(bench)
    assert bench.due_in(Step.SUBMIT) == DOUBT

    bench.clock.now += DOUBT
    submit(A, bench.hooked)

    assert over(bench)
    assert (len(bench.server.requests), bench.job.resubmits) == (1, 0)
    assert bench.job.discarded


@pytest.mark.parametrize("script", [said(500), answer(200, b"<html>")], ids=["500", "no task id"])
def test_a_doubt_that_nothing_can_settle_ends_it(bench: Bench, script: Script) -> None:
    """Without a webhook there is nothing to wait for, as for any other job."""
    submit_during_cancel(bench, script)

    assert over(bench)
    assert (len(bench.server.requests), bench.job.resubmits) == (1, 0)
    assert bench.redis.hget("counters", "resubmits") is None


def test_a_worker_that_died_while_posting_is_waited_for(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody recorded the doubt: it lasts as long as any, then the slot is free."""
    canceled_in_doubt(bench)
    bench.clock.now += DOUBT - 1
    submit(A, bench.hooked)
    assert (over(bench), bench.due_in(Step.SUBMIT)) == (False, 1)

    bench.clock.now += 1
    submit(A, bench.hooked)

    assert over(bench)
    assert bench.server.requests == []
    assert "job.resubmitted" not in [each.getMessage() for each in caplog.records]


def test_a_request_that_was_cut_off_ends_it(bench: Bench) -> None:
    """Only a whole request can have been accepted: the claim is taken back, the slot released."""
    canceled_in_doubt(bench)

    change = Change(expect={"posting_by": "died"}, clear=["posting_at", "posting_by"])
    assert bench.store.change(A, {Status.SUBMITTING}, change)

    assert over(bench)
    assert not bench.job.discarded


def test_a_second_claim_is_impossible(bench: Bench) -> None:
    """The submit step of a canceled job finds the first claim, and posts nothing."""
    canceled_in_doubt(bench)

    for _ in range(3):
        run(Step.SUBMIT, submit, A, bench.hooked)
        bench.clock.now += 2 * DOUBT

    assert bench.server.requests == []


@pytest.mark.parametrize("notice", [READY, FAILED], ids=["ready", "failed"])
@pytest.mark.parametrize("source", ["webhook", "poll"])
@pytest.mark.parametrize("make", [discarding, canceled_in_doubt])
def test_the_task_s_end_releases_the_slot(
    bench: Bench, make: Callable[[Bench], None], source: str, notice: Notice
) -> None:
    """What it cost is recorded; it is neither collected nor an error, and duplicates do nothing."""
    make(bench)

    assert apply_notice(bench.store, A, notice, source, b"{}")

    assert over(bench)
    assert (bench.job.provider_id, bench.job.cost, bench.job.seed) == (
        "t1",
        notice.cost,
        notice.seed,
    )
    before = record(bench)
    assert not apply_notice(bench.store, A, notice, source, b"{}")
    assert not apply_notice(bench.store, A, replace(READY, cost=99.0), "webhook", b"{}")
    assert record(bench) == before
    assert bench.redis.hget("counters", "discarded") == "1"


def test_a_webhook_that_reports_no_end_names_the_task(bench: Bench) -> None:
    """The doubt is over: the task is polled for."""
    canceled_in_doubt(bench, doubt_reason="m", doubt_until=2e9)

    apply_notice(
        bench.store, A, Notice(kind=Kind.PENDING, status="Pending", provider_id="t1"), "webhook"
    )

    assert not over(bench)
    job = bench.job
    assert (job.discarding, job.provider_id, job.doubt_until) == (Status.GENERATING, "t1", None)
    assert Step.POLL in bench.tasks("submit")


def test_a_webhook_about_another_task_is_not_believed(bench: Bench) -> None:
    """The slot is the own task's."""
    discarding(bench)

    assert not apply_notice(bench.store, A, replace(READY, provider_id="other"), "webhook", b"{}")

    assert not over(bench)


def test_a_failure_that_closes_a_breaker_counts_for_a_canceled_job_too(bench: Bench) -> None:
    """The provider's answers concern the account, whatever became of the job."""
    submit_during_cancel(bench, said(500))

    assert bench.redis.exists("breaker:provider:default")
