"""A deadline that passes before the task ended: the job fails then, its slot is held on."""

import pytest

from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.operations.dead_letters import DeadLetters
from core.operations.provider_results import apply_notice
from core.redis.change import Change
from tests.contract.canceled_jobs import CALLBACK, DOUBT, READY, TAKEN, holds_slot
from tests.contract.harness import A, Bench, meanwhile, said
from worker.runtime.sweep import sweep_once
from worker.steps.poll import poll
from worker.steps.submit import submit
from worker.tasks import run

PENDING = said(200, {"id": "t1", "status": "Pending"})


def _failed(bench: Bench, code: FailureCode, *, held: bool) -> None:
    """Assert that the job failed with a code and told its caller once, and whether it is held."""
    job = bench.job
    assert (job.status, bench.error) == (Status.FAILED, code)
    assert bench.tasks("notify") == [Step.NOTIFY]
    assert (holds_slot(bench), job.discarding is not None) == (held, held)


def test_a_running_task_keeps_the_slot(bench: Bench) -> None:
    """The job times out; the poll goes on, and the task's end releases the slot."""
    bench.accept(callback_url=CALLBACK, deadline_at=bench.clock.now + 5)
    bench.generating()
    bench.server.script = PENDING
    bench.clock.now += 5

    poll(A, bench.deps)

    _failed(bench, FailureCode.TIMED_OUT, held=True)
    assert bench.due_in(Step.POLL) == pytest.approx(0.2, abs=1e-3)
    apply_notice(bench.store, A, READY, "webhook", b"{}")
    _failed(bench, FailureCode.TIMED_OUT, held=False)
    assert (bench.job.cost, bench.job.discarded, bench.job.result_url) == (6.0, True, None)


def test_the_sweep_acts_at_the_deadline(bench: Bench) -> None:
    """It starts the poll then, though its own time is later, and again until the task has ended."""
    bench.accept(deadline_at=bench.clock.now + 5)
    bench.generating()
    bench.redis.delete("rq:queue:submit")
    bench.server.script = PENDING
    assert bench.store.take_sweep_lease("token", 1000)
    bench.clock.now += 5

    sweep_once(bench.store, "token")

    assert bench.tasks("submit") == [Step.POLL]
    run(Step.POLL, poll, A, bench.deps)
    _failed_without_callback(bench)
    bench.redis.delete("rq:queue:submit")
    bench.clock.now += 60
    sweep_once(bench.store, "token")
    assert bench.tasks("submit") == [Step.POLL]


def _failed_without_callback(bench: Bench) -> None:
    assert (bench.job.status, bench.job.discarding) == (Status.FAILED, Status.GENERATING)
    assert holds_slot(bench)


def test_a_submit_under_way_keeps_the_slot(bench: Bench) -> None:
    """The deadline passes while a worker posts the job: its answer is recorded all the same."""
    bench.accept(callback_url=CALLBACK, deadline_at=bench.clock.now + 5)

    def deadline() -> None:
        bench.clock.now += 5
        submit(A, bench.hooked)  # as the sweep has it started

    bench.server.script = meanwhile(deadline, TAKEN)
    submit(A, bench.hooked)

    _failed(bench, FailureCode.TIMED_OUT, held=True)
    assert (bench.job.discarding, bench.job.provider_id) == (Status.GENERATING, "t1")
    assert len(bench.server.requests) == 1


def test_a_doubt_outlives_the_deadline_for_the_slot_s_sake(bench: Bench) -> None:
    """The job is lost at its deadline, and nothing is posted again; the doubt ends in its time."""
    bench.accept(callback_url=CALLBACK, deadline_at=bench.clock.now + 4, max_resubmits=3)
    bench.server.script = said(500)
    submit(A, bench.hooked)
    bench.clock.now += 4

    submit(A, bench.hooked)
    _failed(bench, FailureCode.LOST, held=True)

    bench.clock.now += DOUBT - 4
    submit(A, bench.hooked)
    _failed(bench, FailureCode.LOST, held=False)
    assert len(bench.server.requests) == 1


def test_a_job_that_was_not_posted_frees_its_slot(bench: Bench) -> None:
    """There is no task to wait for."""
    bench.accept(callback_url=CALLBACK, deadline_at=bench.clock.now)

    submit(A, bench.deps)

    _failed(bench, FailureCode.TIMED_OUT, held=False)
    assert not bench.job.discarded


def test_the_usual_deadline_frees_the_slot(bench: Bench) -> None:
    """A task that has had its model's whole time is given up with its job."""
    usual = bench.deps.settings.job_deadline_seconds
    bench.accept(callback_url=CALLBACK, deadline_at=bench.clock.now + usual)
    bench.generating()
    bench.server.script = PENDING
    bench.clock.now += usual

    poll(A, bench.deps)

    _failed(bench, FailureCode.TIMED_OUT, held=False)
    assert not bench.job.discarded


def test_a_later_deadline_counts_for_the_task_as_well(bench: Bench) -> None:
    """A job that may take longer than usual is polled for until its own deadline."""
    usual = bench.deps.settings.job_deadline_seconds
    bench.accept(callback_url=CALLBACK, deadline_at=bench.clock.now + usual + 100)
    bench.generating()
    bench.server.script = PENDING
    bench.clock.now += usual + 99
    poll(A, bench.deps)
    assert bench.job.status is Status.GENERATING

    bench.clock.now += 1
    poll(A, bench.deps)

    _failed(bench, FailureCode.TIMED_OUT, held=False)


def test_a_timed_out_job_is_sent_again_while_its_first_task_runs(bench: Bench) -> None:
    """The new job has the model's deadline, and a slot of its own."""
    bench.accept(deadline_at=bench.clock.now + 5)
    bench.generating()
    bench.server.script = PENDING
    bench.clock.now += 5
    poll(A, bench.deps)

    again = DeadLetters(bench.store, bench.deps.objects, bench.deps.settings).retry(bench.job)

    new = bench.store.load(JobId(again))
    assert new is not None
    usual = bench.deps.settings.job_deadline_seconds
    assert new.request.deadline_at == pytest.approx(bench.clock.now + usual)
    assert bench.redis.zcard("slots:default") == 2
    assert bench.store.change(A, {Status.GENERATING}, Change())
