"""A batch's end: its counts, its results file, and its callback."""

import io
import json
from hashlib import sha256
from typing import Any

import pytest

from core.batches.batch import BatchStatus
from core.batches.operations import give_up
from core.batches.plans import BatchPlans
from core.errors import StorageUnavailable
from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import CallbackState, Status, Step
from core.operations.metrics import take_snapshot
from core.redis.change import Change
from tests.contract.batches import B, accept, load, sweep
from tests.contract.harness import Bench
from tests.contract.scripted_server import answer
from worker.steps.batches import announce, run, write_results

KEY = f"batches/{B}.ndjson"
DAY = 86_400.0


@pytest.fixture
def ended(bench: Bench) -> Bench:
    """Return a bench whose batch of two jobs has ended, and whose receiver is scripted."""
    accept(bench.store, "a", "b", callback_url=f"{bench.server.url}/batch")
    sweep(bench.store)
    bench.store.fail(JobId("b"), FailureCode.INVALID_INPUT, "for the test")
    assert load(bench.store).status is BatchStatus.RUNNING
    bench.store.fail(JobId("a"), FailureCode.LOST, "for the test")
    assert load(bench.store).status is BatchStatus.ENDED
    return bench


def _due(bench: Bench, step: Step) -> float | None:
    at = bench.redis.zscore("due", f"{step}:{B}")
    return None if at is None else float(at) - bench.clock.now


def _stored(bench: Bench, key: str = KEY) -> bytes:
    return b"".join(bench.deps.objects.chunks(key))


def test_the_last_end_makes_the_results_due(ended: Bench) -> None:
    """The sweep starts the step that writes them, and again if its worker is lost."""
    sweep(ended.store)
    assert ended.redis.lrange("rq:queue:collect", 0, -1) == [f"{B}-results-1"]
    ended.redis.delete("rq:queue:collect")
    ended.clock.now += 31

    sweep(ended.store)

    assert ended.redis.lrange("rq:queue:collect", 0, -1) == [f"{B}-results-2"]


def test_the_file_has_a_line_per_item(ended: Bench) -> None:
    """Its lines are in the order of the items, and its size and SHA-256 are recorded."""
    write_results(B, ended.deps)

    body = _stored(ended)
    lines = [json.loads(line) for line in body.splitlines()]
    assert [(line["job_id"], line["custom_id"], line["status"]) for line in lines] == [
        ("a", "c-a", "failed"),
        ("b", "c-b", "failed"),
    ]
    assert lines[1]["error"]["code"] == "invalid_input"
    batch = load(ended.store)
    assert batch.status is BatchStatus.COMPLETED
    assert batch.results == {
        "bucket": ended.deps.objects.bucket,
        "key": KEY,
        "bytes": len(body),
        "sha256": sha256(body).hexdigest(),
    }
    assert batch.callback_state is CallbackState.PENDING
    assert _due(ended, Step.RESULTS) is None


def test_a_batch_is_counted_as_running_until_it_is_completed(ended: Bench) -> None:
    """One whose jobs have ended runs until its file is stored, and is completed once."""
    accounts = ended.deps.settings.accounts
    assert take_snapshot(ended.store, accounts).batches_running == 1

    for _ in range(2):
        write_results(B, ended.deps)

    assert take_snapshot(ended.store, accounts).batches_running == 0


def test_a_file_that_a_dead_run_stored_counts(ended: Bench) -> None:
    """A run that died behind the PUT is repeated, and finds its own object."""
    write_results(B, ended.deps)
    before = _stored(ended)
    ended.redis.hset(f"batch:{B}", "status", "ended")
    ended.redis.hdel(f"batch:{B}", "results")

    write_results(B, ended.deps)

    batch = load(ended.store)
    assert batch.results
    assert batch.results["key"] == KEY
    assert _stored(ended) == before


def test_a_foreign_object_is_not_overwritten(bench: Bench) -> None:
    """The results are then stored at the default key."""
    accept(bench.store, "a", results_key="mine.ndjson")
    sweep(bench.store)
    bench.store.fail(JobId("a"), FailureCode.LOST, "for the test")
    _put(bench, "mine.ndjson", b"foreign")

    write_results(B, bench.deps)

    assert _stored(bench, "mine.ndjson") == b"foreign"
    assert json.loads(_stored(bench))["custom_id"] == "c-a"
    assert (load(bench.store).results or {})["key"] == KEY


def _put(bench: Bench, key: str, data: bytes) -> None:
    bench.deps.objects.put(
        key, io.BytesIO(data), sha256=sha256(data).digest(), content_type="text/plain"
    )


def test_without_the_bucket_the_results_wait(ended: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are tried again later each time; the jobs' records are kept meanwhile."""

    def away(*_: Any, **__: Any) -> bool:
        raise StorageUnavailable("S3 is away")

    monkeypatch.setattr(ended.deps.objects, "put_once", away)
    waits = []
    for _ in range(3):
        run(Step.RESULTS, write_results, B, ended.deps)
        waits.append(_due(ended, Step.RESULTS) or 0)

    assert load(ended.store).status is BatchStatus.ENDED
    assert all(wait > 0 for wait in waits)
    assert load(ended.store).tries == 3
    monkeypatch.undo()
    run(Step.RESULTS, write_results, B, ended.deps)
    assert load(ended.store).status is BatchStatus.COMPLETED


def test_records_of_jobs_outlive_their_batch(ended: Bench) -> None:
    """A job that ended early is kept until the batch has no need of it, and so is the batch."""
    ttl = ended.store.job_ttl
    assert ended.redis.ttl("job:b") >= ttl + DAY - 1
    assert ended.redis.ttl(f"batch:{B}") == -1

    write_results(B, ended.deps)

    assert ended.redis.ttl(f"batch:{B}") >= ended.redis.ttl("job:a") - 1
    assert ended.redis.ttl(f"batch:{B}:jobs") > 0


def test_costs_are_summed_as_they_become_known(bench: Bench) -> None:
    """A corrected cost counts once."""
    accept(bench.store, "a", "b")
    sweep(bench.store)
    anywhere = list(Status)
    for job, cost in (("a", 4.0), ("b", 2.5), ("a", 5.0)):
        bench.store.change(JobId(job), anywhere, Change(set={"cost": cost}))

    assert load(bench.store).cost == 7.5


def test_the_callback_is_sent_until_it_is_taken(ended: Bench) -> None:
    """It has one message id, is signed, and is delivered once taken."""
    write_results(B, ended.deps)
    ended.server.script = answer(503)
    announce(B, ended.deps)
    assert load(ended.store).callback_state is CallbackState.PENDING
    assert (_due(ended, Step.ANNOUNCE) or 0) > 0
    ended.server.script = answer(204)
    announce(B, ended.deps)

    batch = load(ended.store)
    assert (batch.callback_state, batch.callback_attempts) == (CallbackState.DELIVERED, 2)
    first, second = ended.server.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"msg_{B}"
    body = json.loads(second.body)
    assert (body["type"], body["data"]["id"]) == ("batch.completed", B)
    assert body["data"]["counts"]["failed"] == 2
    assert _due(ended, Step.ANNOUNCE) is None


def test_a_callback_that_is_never_taken_is_a_dead_letter(ended: Bench) -> None:
    """After a day it is given up, and listed as such."""
    write_results(B, ended.deps)
    ended.server.script = answer(503)
    announce(B, ended.deps)
    ended.clock.now += DAY + 3600

    announce(B, ended.deps)

    assert load(ended.store).callback_state is CallbackState.DEAD
    assert ended.redis.zscore("dead:demo", f"batch:{B}") == ended.clock.now
    plans = BatchPlans(ended.store)
    for state, found in ((CallbackState.DEAD, [B]), (CallbackState.PENDING, [])):
        page = ended.store.execute(plans.page("demo", 10, None, state))
        assert [one.id for one in page.batches] == found
    assert ended.store.execute(plans.resend(B)) == "dead"
    assert load(ended.store).callback_state is CallbackState.PENDING
    assert ended.redis.zscore("dead:demo", f"batch:{B}") is None


@pytest.mark.parametrize("step", [Step.RESULTS, Step.ANNOUNCE])
def test_a_step_that_kills_its_workers_is_given_up(ended: Bench, step: Step) -> None:
    """The batch completes without its file, or its callback dies; it does not stay for ever."""
    if step is Step.ANNOUNCE:
        write_results(B, ended.deps)

    def crash(*_: Any) -> None:
        raise ZeroDivisionError

    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            run(step, crash, B, ended.deps)

    batch = load(ended.store)
    assert batch.status is BatchStatus.COMPLETED
    assert (batch.results is None) == (step is Step.RESULTS)
    assert (batch.callback_state is CallbackState.DEAD) == (step is Step.ANNOUNCE)
    assert not give_up(ended.store, Step.RESULTS, B, "again")
