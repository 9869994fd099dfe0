"""Canceling a job at each status: one end, one callback, and what becomes of its slot."""

from collections.abc import Callable

import pytest
import redis

from core.jobs.drop_in_views import task_view
from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import CallbackState, Status, Step
from core.jobs.views import job_view
from core.operations.cancellation import Outcome, cancel
from core.redis.change import Change
from core.redis.store import JobStore
from tests.contract.canceled_jobs import CALLBACK, POSTED, holds_slot, record
from tests.contract.harness import ANYWHERE, A, Bench
from tests.contract.jobs import accept, standing
from worker.steps.submit import submit


def test_a_queued_job_ends_at_once(bench: Bench) -> None:
    """It leaves the backlog, costs nothing, and its caller is told once."""
    bench.redis.set("pool:default:paused", "by the test")
    bench.accept(callback_url=CALLBACK)
    assert bench.job.status is Status.QUEUED

    assert cancel(bench.store, A) is Outcome.CANCELED

    job = bench.job
    assert (job.status, job.discarding, job.discarded) == (Status.CANCELED, None, False)
    assert (job.callback_state, bench.tasks("notify")) == (CallbackState.PENDING, [Step.NOTIFY])
    assert bench.redis.zscore(f"backlog:{record(bench)['lane']}", A) is None
    assert bench.due_in(Step.DEADLINE) is None


def test_a_job_that_was_not_posted_costs_nothing(bench: Bench) -> None:
    """Its slot is free at once, and the task that waits for it posts nothing."""
    bench.accept(callback_url=CALLBACK)

    assert cancel(bench.store, A) is Outcome.CANCELED
    submit(A, bench.deps)

    assert (bench.job.status, bench.job.discarded) == (Status.CANCELED, False)
    assert (holds_slot(bench), bench.server.requests) == (False, [])
    assert (bench.due_in(Step.SUBMIT), bench.due_in(Step.DEADLINE)) == (None, None)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.SUBMITTING])
def test_an_earlier_submit_in_doubt_may_have_been_billed(bench: Bench, status: Status) -> None:
    """The job was to be submitted again: its caller is told that there may be a task of it."""
    bench.accept()
    bench.store.change(A, {Status.SUBMITTING}, POSTED)
    if status is Status.QUEUED:
        bench.redis.set("pool:default:paused", "by the test")
    again = Change(clear=["posting_at", "posting_by"], add={"resubmits": 1})
    bench.store.move(A, Status.QUEUED, again)
    assert bench.job.status is status

    assert cancel(bench.store, A) is Outcome.CANCELED

    assert (bench.job.discarded, bench.job.discarding, holds_slot(bench)) == (True, None, False)


def test_a_free_slot_is_granted_to_the_next_job(store_with: Callable[..., JobStore]) -> None:
    """The cancel of a job that was not posted starts the job behind it."""
    store = store_with(slots="1")
    accept(store, "1", "2")

    cancel(store, JobId("1"))

    assert standing(store, "1 2", Status.SUBMITTING) == "2"


def test_a_held_slot_is_not_granted(store_with: Callable[..., JobStore]) -> None:
    """The provider counts the task, so the job behind a canceled one waits until it ends."""
    store = store_with(slots="1")
    accept(store, "1", "2")
    store.move(JobId("1"), Status.GENERATING)

    cancel(store, JobId("1"))
    assert standing(store, "1 2", Status.QUEUED) == "2"

    store.move(JobId("1"), Status.STORING)  # as its webhook would
    assert standing(store, "1 2", Status.SUBMITTING) == "2"
    assert standing(store, "1 2", Status.CANCELED) == "1"


def test_a_posted_job_keeps_its_slot(bench: Bench) -> None:
    """Whether the provider has it is not known yet: submit step and deadline stay due."""
    bench.accept(callback_url=CALLBACK)
    assert bench.store.change(A, {Status.SUBMITTING}, POSTED)

    assert cancel(bench.store, A) is Outcome.CANCELED

    job = bench.job
    assert (job.status, job.task_status) == (Status.CANCELED, Status.SUBMITTING)
    assert (job.discarding, job.discarded) == (Status.SUBMITTING, True)
    assert (holds_slot(bench), bench.tasks("notify")) == (True, [Step.NOTIFY])
    assert bench.due_in(Step.SUBMIT) == pytest.approx(30)
    assert bench.due_in(Step.DEADLINE) == 3600


def test_a_generating_job_keeps_its_slot(bench: Bench) -> None:
    """Its caller sees the end at once; the poll that was due comes as it would have."""
    bench.accept(callback_url=CALLBACK)
    bench.generating(cost=4.0)
    bench.store.change(A, {Status.GENERATING}, Change(due={Step.POLL: bench.clock.now + 7}))

    assert cancel(bench.store, A) is Outcome.CANCELED

    job = bench.job
    assert (job.status, job.discarding) == (Status.CANCELED, Status.GENERATING)
    assert job.ended_at == bench.clock.now
    assert (holds_slot(bench), bench.due_in(Step.POLL)) == (True, 7)
    view = job_view(job)
    assert (view["provider"]["discarded"], view["provider"]["cost"]) == (True, 4.0)
    assert (view["error"], view["waiting"], view["artifacts"]) == (None, None, [])


def test_a_result_that_is_being_stored_is_not_canceled(bench: Bench) -> None:
    """It is all but done: nothing of the record changes."""
    bench.accept(callback_url=CALLBACK)
    bench.generating()
    bench.storing()
    before = record(bench)

    assert cancel(bench.store, A) is Outcome.STORING

    assert record(bench) == before
    assert bench.tasks("notify") == []


@pytest.mark.parametrize("end", [Status.SUCCEEDED, Status.FAILED])
def test_an_ended_job_stays_as_it_is(bench: Bench, end: Status) -> None:
    """Whoever cancels too late changes nothing, and is told so."""
    bench.accept(callback_url=CALLBACK)
    bench.generating()
    bench.storing()
    bench.store.move(A, end)
    before = record(bench)

    assert cancel(bench.store, A) is Outcome.ENDED

    assert record(bench) == before
    assert bench.tasks("notify") == [Step.NOTIFY]


def test_a_second_cancel_changes_nothing(bench: Bench) -> None:
    """One end, one callback, one count, however often it is repeated."""
    bench.accept(callback_url=CALLBACK)
    bench.generating()
    cancel(bench.store, A)
    before = record(bench)

    assert [cancel(bench.store, A) for _ in range(3)] == [Outcome.ENDED] * 3

    assert record(bench) == before
    assert (holds_slot(bench), bench.tasks("notify")) == (True, [Step.NOTIFY])
    assert bench.redis.hget("counters", "ended:canceled") == "1"


def test_a_job_that_is_gone(bench: Bench) -> None:
    """There is nothing to cancel."""
    assert cancel(bench.store, JobId("gone")) is Outcome.GONE


def test_every_cancel_waits_for_the_disk(bench: Bench) -> None:
    """A repeated one writes as well, for else its answer would not wait for the first one's end."""
    bench.accept()

    def written() -> int:
        return int(bench.redis.info("persistence")["rdb_changes_since_last_save"])

    for _ in range(2):
        confirmed, changes = bench.confirmations(), written()
        cancel(bench.store, A)
        assert (bench.confirmations(), written() > changes) == (confirmed + 1, True)


@pytest.mark.parametrize("callback_url", [None, CALLBACK])
def test_a_record_is_kept_as_long_as_its_task_may_run(
    store_with: Callable[..., JobStore], redis_client: "redis.Redis", callback_url: str | None
) -> None:
    """Without it the slot would be taken for nobody's; other records go when they usually do."""
    brief = {"job_ttl_seconds": "60", "callback_give_up_seconds": "600"}
    store = store_with(slots="2", job_deadline_seconds="50000", **brief)
    accept(store, "1", "2", callback_url=callback_url)
    store.move(JobId("1"), Status.GENERATING)

    cancel(store, JobId("1"))
    cancel(store, JobId("2"))

    assert redis_client.ttl("job:1") == pytest.approx(50_000, abs=60)
    assert redis_client.ttl("job:2") <= store.owed_ttl


def test_inputs_are_deleted(bench: Bench) -> None:
    """Nobody will send them: their clean-up starts with the cancel."""
    bench.accept(input_keys={"input_image": f"_inputs/{A}/input_image"})

    cancel(bench.store, A)

    assert bench.tasks("collect") == [Step.CLEANUP]


def test_a_cancel_is_no_dead_letter(bench: Bench) -> None:
    """Its caller wanted it so."""
    bench.accept()
    bench.generating()

    cancel(bench.store, A)

    assert bench.redis.zcard("dead") == 0


def test_a_drop_in_client_sees_an_error(bench: Bench) -> None:
    """The provider's statuses have no better word for it; the details say what happened."""
    bench.accept(origin="https://relay.example")
    bench.generating()
    cancel(bench.store, A)

    view = task_view(bench.job, "https://relay.example", "a-master-secret")

    assert (view["status"], view["result"]) == ("Error", None)
    assert view["details"] == {"error": "The job was canceled"}


@pytest.mark.parametrize("late", [Status.GENERATING, Status.FAILED, Status.QUEUED])
def test_nothing_moves_a_canceled_job(bench: Bench, late: Status) -> None:
    """Whatever comes later, it stays canceled, with one end in its timeline."""
    bench.accept()
    bench.store.change(A, {Status.SUBMITTING}, POSTED)
    cancel(bench.store, A)

    bench.store.move(A, late)
    bench.store.fail(A, FailureCode.LOST, "late", was=ANYWHERE)

    assert (bench.job.status, bench.job.error) == (Status.CANCELED, None)
    ends = [status for status, _ in bench.job.timeline if status is Status.CANCELED]
    assert len(ends) == 1


def test_a_half_open_breaker_is_tried_by_the_next_job(
    store_with: Callable[..., JobStore], redis_client: "redis.Redis"
) -> None:
    """A job that was to try the provider and is canceled before leaves that to another."""
    store = store_with(slots="1")
    redis_client.hset("breaker:provider:default", mapping={"failures": 9, "open_until": 0})
    accept(store, "1", "2")
    assert redis_client.hget("breaker:provider:default", "trying_job") == "1"

    cancel(store, JobId("1"))

    assert redis_client.hget("breaker:provider:default", "trying_job") == "2"
