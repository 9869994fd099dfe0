"""The steps that wait for the task of a canceled job: polls, the sweep, and how they give up."""

from collections.abc import Callable

import pytest

from core.errors import Permanent, Transient
from core.jobs.failures import FailureCode
from core.jobs.status import Status, Step
from core.operations.metrics import take_snapshot
from core.operations.provider_results import apply_notice
from core.redis.change import Change
from tests.contract.canceled_jobs import A_DAY, READY, canceled_in_doubt, discarding, over
from tests.contract.harness import A, Bench, said
from tests.contract.scripted_server import Script, answer
from worker.deps import Deps
from worker.runtime.sweep import sweep_once
from worker.steps.poll import poll
from worker.tasks import run


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
            bench.redis.hset(f"rq:job:{task!s}", "started_at", "now")
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


def test_discarded_tasks_are_counted(bench: Bench) -> None:
    """Operators see how many results were paid for and thrown away."""
    discarding(bench)
    assert "discarded" not in take_snapshot(bench.store, bench.deps.settings.accounts).counters

    apply_notice(bench.store, A, READY, "webhook", b"{}")

    counters = take_snapshot(bench.store, bench.deps.settings.accounts).counters
    assert (counters["discarded"], counters["ended:canceled"]) == (1, 1)
