"""Attempts to deliver callbacks: listed, replayed and tried out, by both clients."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from fluxrelay import ConflictError, DeadLetter, FluxRelay
from stack.receiver import Answer, CallbackReceiver
from tests.client.scripted_service import ScriptedService, says
from tests.client.test_batches import DEFAULTS, item
from tests.client.test_jobs import made
from tests.conftest import Eventually


@pytest.fixture
def gone() -> Iterator[CallbackReceiver]:
    """Run a receiver that wants no callback, so that the first attempt is the last."""
    with CallbackReceiver() as receiver:
        receiver.script(then=Answer(410))
        yield receiver


def test_attempts_are_listed_and_replayed(
    client: FluxRelay, gone: CallbackReceiver, eventually: Eventually
) -> None:
    """A callback that was given up is listed with its attempt; replayed, it is delivered."""
    begun = datetime.now(UTC) - timedelta(seconds=1)
    job = made(client, callback=gone.url)

    def given_up() -> bool:
        callback = client.jobs.get(job).callback
        return callback is not None and callback.state == "dead"

    eventually(given_up)

    # At least once: a busy machine may make more attempts than it has to.
    failed = client.callbacks.list(job=job, outcome="failed", since=begun)
    assert {(one.job_id, one.type) for one in failed} == {(job.id, "job.succeeded")}
    assert 410 in {one.status for one in failed}
    assert all(one.at >= begun for one in failed)
    gone.script()
    client.callbacks.replay(begun)

    def delivered() -> bool:
        return len(client.callbacks.list(job=job, outcome="delivered")) > 0

    eventually(delivered)
    newest = client.callbacks.list(job=job, type="job.succeeded", limit=1)
    assert len(newest) == 1
    assert newest.next_cursor is not None
    every = list(client.callbacks.iterate(job=job.id, limit=1))
    assert {one.outcome for one in every} == {"delivered", "failed"}
    assert len({one.id for one in every}) == len(every)
    assert {one.id for one in failed} <= {one.id for one in every}
    assert list(client.callbacks.iterate(job=job, until=begun)) == []


def test_attempts_for_a_batch_are_listed(
    client: FluxRelay, gone: CallbackReceiver, eventually: Eventually
) -> None:
    """A batch's callback that was given up is found by its batch, and is sent again."""
    batch = client.batches.create([item("a")], defaults=DEFAULTS, callback=gone.url)

    def is_dead() -> bool:
        return batch.id in {found.id for found in client.batches.iterate(callback="dead")}

    eventually(is_dead)

    # At least one: a busy machine may make more attempts than it has to.
    attempts = client.callbacks.list(batch=batch)
    found = {(one.batch_id, one.job_id, one.type) for one in attempts}
    assert found == {(batch.id, None, "batch.completed")}
    assert list(client.callbacks.list(batch=batch.id, outcome="delivered")) == []
    gone.script()
    client.batches.resend(batch)
    eventually(lambda: len(client.callbacks.list(batch=batch, outcome="delivered")) > 0)


def test_a_callback_tells_the_events_that_were_chosen(
    client: FluxRelay, receiver: CallbackReceiver, faults: Callable[..., None]
) -> None:
    """A job tells that the provider has taken it, and how it ends, if it is asked to."""
    mark = uuid.uuid4().hex
    faults(delay_generation={"match": mark, "seconds": 60})
    chosen = {"url": receiver.url, "events": ["job.generating", "job.canceled"]}
    job = made(client, mark, callback=chosen)

    (taken,) = receiver.wait_for(lambda _: True, timeout_seconds=60)
    client.jobs.cancel(job)
    _, canceled = receiver.wait_for(lambda _: True, count=2, timeout_seconds=60)

    told = [client.callbacks.verify(one.body, one.headers) for one in (taken, canceled)]
    assert [callback.type for callback in told] == ["job.generating", "job.canceled"]
    assert {callback.job and callback.job.id for callback in told} == {job.id}
    assert [one.job and one.job.provider and one.job.provider.discarded for one in told] == [
        False,
        True,
    ]
    assert told[0].id != told[1].id


def test_a_batch_tells_of_each_job(client: FluxRelay, receiver: CallbackReceiver) -> None:
    """A callback among the defaults is one for each job, with events of its own."""
    each = {"url": receiver.url, "events": ["job.failed"]}
    items = [item("good"), item("bad", "moderate-content=Violence")]
    batch = client.batches.create(items, defaults={**DEFAULTS, "callback": each})

    (received,) = receiver.wait_for(lambda _: True, timeout_seconds=60)
    client.batches.wait(batch)

    callback = client.callbacks.verify(received.body, received.headers)
    assert callback.job is not None
    assert callback.job.batch is not None
    assert (callback.type, callback.job.batch.custom_id) == ("job.failed", "bad")
    (good,) = client.batches.iterate_jobs(batch, status="succeeded")
    with pytest.raises(ConflictError):
        client.batches.resend(batch)  # it has none of its own
    assert list(client.callbacks.list(job=good)) == []


def test_all_are_replayed(scripted: FluxRelay, service: ScriptedService) -> None:
    """Where the service takes some at a time it is asked again, for those of before alone."""
    date = "date: Sat, 21 Nov 2026 16:25:00 GMT"
    service.says(
        says(202, {"replayed": 1000, "more": True}, date),
        says(202, {"replayed": 1000, "more": True}),
        says(202, {"replayed": 7, "more": False}),
    )

    assert scripted.callbacks.replay(0) == 2007

    bodies = [json.loads(request.body) for request in service.requests]
    bounded = {"since": 0, "until": "2026-11-21T16:25:01+00:00"}
    assert bodies == [{"since": 0}, bounded, bounded]


def test_the_callback_of_a_batch_is_a_dead_letter(
    client: FluxRelay, gone: CallbackReceiver, eventually: Eventually
) -> None:
    """Given up, it is listed with its batch; sent again it is not, nor once it is dismissed."""
    batch = client.batches.create([item("a")], defaults=DEFAULTS, callback=gone.url)

    def given_up() -> bool:
        callback = client.batches.get(batch).callback
        return callback is not None and callback.state == "dead"

    def listed() -> list[DeadLetter]:
        letters = client.dead_letters.iterate(kind="batch", limit=100)
        return [one for one in letters if one.batch and one.batch.id == batch.id]

    eventually(given_up)
    (letter,) = listed()
    assert (letter.kind, letter.job, letter.batch) == ("batch", None, client.batches.get(batch))
    client.batches.resend(batch)
    eventually(given_up)
    assert len(listed()) == 1
    client.dead_letters.dismiss("batch", batch)
    assert listed() == []


def test_an_end_that_is_not_to_be_told_is_not_sent_again(
    client: FluxRelay, receiver: CallbackReceiver
) -> None:
    """The client raises what the service says, and shows the events that were chosen."""
    chosen = {"url": receiver.url, "events": ["job.failed"]}
    job = client.jobs.wait(made(client, callback=chosen))

    with pytest.raises(ConflictError, match=r"callback\.events"):
        client.callbacks.resend(job)
    assert job.callback is not None
    assert (job.callback.state, job.callback.events) == ("none", ("job.failed",))


def test_a_sample_is_sent(client: FluxRelay, receiver: CallbackReceiver) -> None:
    """A sample callback arrives, and is signed as all are."""
    tested = client.callbacks.test(receiver.url)
    sample = client.callbacks.test(receiver.url, type="job.failed")

    assert (tested.delivered, tested.status, tested.error) == (True, 204, None)
    attempts = client.callbacks.list(type="callback.test", limit=100)
    (attempt,) = [one for one in attempts if one.test_id == tested.id]
    assert (attempt.outcome, attempt.job_id, attempt.batch_id) == ("delivered", None, None)
    assert sample.delivered
    first, second = receiver.wait_for(lambda _: True, count=2, timeout_seconds=60)
    assert client.callbacks.verify(first.body, first.headers).type == "callback.test"
    assert client.callbacks.verify(second.body, second.headers).type == "job.failed"


def test_a_sample_that_nobody_takes(client: FluxRelay, gone: CallbackReceiver) -> None:
    """What a receiver answers is told."""
    tested = client.callbacks.test(gone.url)

    assert (tested.delivered, tested.status) == (False, 410)
