"""The task of a job that ended before it: waited for, thrown away, and its slot released once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest

from core.errors import Permanent, Transient
from core.jobs.failures import FailureCode
from core.jobs.status import Status, Step
from core.operations.cancellation import cancel
from core.operations.metrics import take_snapshot
from core.operations.provider_results import apply_notice
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change
from tests.contract.harness import A, Bench, meanwhile, said
from tests.contract.scripted_server import Script, answer
from tests.contract.test_cancel import CALLBACK, holds_slot, record
from worker.deps import Deps
from worker.runtime.sweep import sweep_once
from worker.steps.poll import poll
from worker.steps.submit import submit
from worker.tasks import run

TAKEN: Final = said(200, {"id": "t1", "polling_url": "https://api.example/x", "cost": 5})
READY: Final = Notice(
    kind=Kind.READY,
    status="Ready",
    provider_id="t1",
    url="https://x/i",
    expires_at=2e9,
    cost=6.0,
    seed=7,
)
FAILED: Final = Notice(kind=Kind.FAILED, status="Error", provider_id="t1", message="m")
#: Seconds of a first doubt, in the tests' settings.
DOUBT: Final = 6.0
#: Longer than any task of the tests' settings may take.
A_DAY: Final = 86_400.0


def over(bench: Bench) -> bool:
    """Return whether the task is no longer waited for; the job must be canceled, and told once."""
    job = bench.job
    assert (job.status, job.error, job.artifacts, job.result_url) == (
        Status.CANCELED,
        None,
        (),
        None,
    )
    assert bench.tasks("notify") == [Step.NOTIFY]
    assert Step.COLLECT not in bench.tasks("collect")
    assert holds_slot(bench) is (job.discarding is not None)
    if job.discarding is None:
        steps = (Step.SUBMIT, Step.POLL, Step.COLLECT, Step.DEADLINE)
        assert [bench.due_in(step) for step in steps] == [None] * len(steps)
        assert (job.doubt_reason, job.doubt_until, job.taken) == (None, None, False)
    return job.discarding is None


def discarding(bench: Bench, **fields: Any) -> None:
    """Have the job be canceled while its task t1 is at the provider."""
    bench.accept(callback_url=CALLBACK)
    bench.generating(**fields)
    cancel(bench.store, A)


def canceled_in_doubt(bench: Bench, **fields: Any) -> None:
    """Have the job be canceled while nobody knows whether its submit was accepted."""
    bench.accept(callback_url=CALLBACK)
    posted: dict[str, Any] = {"posting_at": bench.clock.now, "posting_by": "died"}
    bench.store.change(A, {Status.SUBMITTING}, Change(set=posted | fields))
    cancel(bench.store, A)


def submit_during_cancel(bench: Bench, script: Script, deps: Deps | None = None) -> None:
    """Post the job, which is canceled after the provider read it and before it answers."""
    bench.accept(callback_url=CALLBACK, max_resubmits=3)
    bench.server.script = meanwhile(lambda: cancel(bench.store, A), script)
    run(Step.SUBMIT, submit, A, deps or bench.deps)


def test_an_answer_after_the_cancel_names_the_task(bench: Bench) -> None:
    """The submit step goes on: the task is known, its cost recorded, and its poll due."""
    submit_during_cancel(bench, TAKEN)

    assert not over(bench)
    job = bench.job
    assert (job.discarding, job.provider_id, job.cost) == (Status.GENERATING, "t1", 5.0)
    assert (bench.due_in(Step.SUBMIT), bench.due_in(Step.POLL)) == (None, pytest.approx(1, abs=1))


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


def test_a_worker_that_died_while_posting_is_waited_for(bench: Bench) -> None:
    """Nobody recorded the doubt: it lasts as long as any, then the slot is free."""
    canceled_in_doubt(bench)
    bench.clock.now += DOUBT - 1
    submit(A, bench.hooked)
    assert (over(bench), bench.due_in(Step.SUBMIT)) == (False, 1)

    bench.clock.now += 1
    submit(A, bench.hooked)

    assert over(bench)
    assert bench.server.requests == []


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


@pytest.mark.parametrize("status", ["Ready", "Error", "Content Moderated"])
def test_a_poll_sees_the_task_s_end(bench: Bench, status: str) -> None:
    """A lost webhook holds the slot only until the task is asked about."""
    discarding(bench)
    result = {"sample": f"{bench.server.url}/i"} if status == "Ready" else None
    bench.server.script = said(200, {"id": "t1", "status": status, "result": result, "cost": 3})

    poll(A, bench.deps)

    assert over(bench)
    assert bench.job.cost == (3.0 if status == "Ready" else bench.job.cost)


def test_a_poll_that_sees_no_end_is_repeated(bench: Bench) -> None:
    """As for any job, later each time."""
    discarding(bench)
    bench.server.script = said(200, {"id": "t1", "status": "Pending"})

    poll(A, bench.deps)

    assert not over(bench)
    assert bench.due_in(Step.POLL) == pytest.approx(0.2, abs=1e-3)


@pytest.mark.parametrize("script", [answer(503, b""), said(200, {"status": "Pending"})])
def test_a_task_that_never_ends_is_given_up(bench: Bench, script: Script) -> None:
    """The slot is held no longer than the model's deadline, though the job's own is earlier."""
    discarding(bench)
    bench.server.script = script
    bench.clock.now += A_DAY - 1
    run(Step.POLL, poll, A, bench.deps)
    assert not over(bench)

    bench.clock.now += 1
    run(Step.POLL, poll, A, bench.deps)

    assert over(bench)


def test_a_task_that_no_host_knows_is_given_up(bench: Bench) -> None:
    """Where all hosts say "not found", that is believed after the usual time."""
    discarding(bench)
    bench.server.script = answer(404, b"{}")
    settings = bench.deps.settings
    bench.clock.now += settings.result_lifetime_seconds + settings.webhook_overdue_seconds

    poll(A, bench.deps)

    assert over(bench)


@pytest.mark.parametrize("step", [Step.SUBMIT, Step.POLL])
def test_a_step_that_always_crashes_gives_the_slot_back(bench: Bench, step: Step) -> None:
    """A bug of ours holds no slot for ever."""
    (discarding if step is Step.POLL else canceled_in_doubt)(bench)

    def crash(_job_id: str, _deps: Deps) -> None:
        raise RuntimeError("a bug")

    for _ in range(10):
        assert not over(bench)
        with pytest.raises(RuntimeError):
            run(step, crash, A, bench.deps)

    assert over(bench)


def test_a_step_that_fails_for_good_gives_the_slot_back(bench: Bench) -> None:
    """What would fail the job ends the wait for its task."""
    canceled_in_doubt(bench)

    def refuse(_job_id: str, _deps: Deps) -> None:
        raise Permanent(FailureCode.STORAGE_FAILED, "an image is gone")

    run(Step.SUBMIT, refuse, A, bench.deps)

    assert over(bench)


def test_a_step_that_is_put_off_is_due_again(bench: Bench) -> None:
    """A provider that is away for a while is asked again."""
    discarding(bench)

    def away(_job_id: str, _deps: Deps) -> None:
        raise Transient("the provider is away")

    run(Step.POLL, away, A, bench.deps)

    assert not over(bench)
    assert bench.due_in(Step.POLL) == pytest.approx(0.2, abs=0.2)


@pytest.mark.parametrize(
    ("make", "step"), [(discarding, Step.POLL), (canceled_in_doubt, Step.SUBMIT)]
)
def test_the_sweep_starts_lost_steps_of_the_task(
    bench: Bench, make: Callable[[Bench], None], step: Step
) -> None:
    """A worker that died leaves a due time, and the slot's lease is renewed meanwhile."""
    make(bench)
    bench.redis.delete("rq:queue:submit")
    bench.clock.now += 40  # over every lease
    assert bench.store.take_sweep_lease("token", 60)
    bench.store.change(A, {Status.GENERATING}, Change(due={Step.POLL: bench.clock.now}))

    assert sweep_once(bench.store, "token")[0]

    assert bench.tasks("submit") == [step]
    lease = bench.redis.zscore("slots:default", A)
    assert lease == bench.clock.now + bench.deps.settings.slot_lease_seconds


def test_the_sweep_drops_what_is_no_longer_waited_for(bench: Bench) -> None:
    """Once the task has ended, a due time of its steps is stale."""
    discarding(bench)
    apply_notice(bench.store, A, READY, "webhook", b"{}")
    late = {f"{step}:{A}": bench.clock.now for step in (Step.SUBMIT, Step.POLL, Step.DEADLINE)}
    bench.redis.zadd("due", late)
    assert bench.store.take_sweep_lease("token", 60)

    sweep_once(bench.store, "token")

    assert over(bench)
    assert bench.tasks("submit") == [Step.SUBMIT]  # of the beginning


def test_a_task_that_kills_its_workers_gives_the_slot_back(bench: Bench) -> None:
    """After ten deaths the task is given up, as a job would be."""
    discarding(bench)
    assert bench.store.take_sweep_lease("token", 1e6)
    bench.redis.delete("rq:queue:submit")
    bench.store.change(A, {Status.GENERATING}, Change(wake=[Step.POLL]))

    for _ in range(40):
        while task := bench.redis.lpop("rq:queue:submit"):
            bench.redis.hset(f"rq:job:{task}", "started_at", "now")
        if bench.job.discarding is None:
            break
        bench.clock.now += 300
        sweep_once(bench.store, "token")

    assert over(bench)


def test_a_late_run_that_saw_the_job_before_its_cancel_holds_the_slot(bench: Bench) -> None:
    """A poll that wants to end the job at its deadline does not end the wait for its task."""
    discarding(bench)

    change = Change(set={"provider_status": "late"}, hold=True)
    assert not bench.store.move(A, Status.FAILED, change, was=[Status.GENERATING])

    assert not over(bench)


def test_a_failure_that_closes_a_breaker_counts_for_a_canceled_job_too(bench: Bench) -> None:
    """The provider's answers concern the account, whatever became of the job."""
    submit_during_cancel(bench, said(500))

    assert bench.redis.exists("breaker:provider:default")


def test_discarded_tasks_are_counted(bench: Bench) -> None:
    """Operators see how many results were paid for and thrown away."""
    discarding(bench)
    assert "discarded" not in take_snapshot(bench.store, bench.deps.settings.accounts).counters

    apply_notice(bench.store, A, READY, "webhook", b"{}")

    counters = take_snapshot(bench.store, bench.deps.settings.accounts).counters
    assert (counters["discarded"], counters["ended:canceled"]) == (1, 1)
