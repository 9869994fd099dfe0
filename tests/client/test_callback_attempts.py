"""Attempts to deliver callbacks: listed, replayed and tried out, by both clients."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from fluxrelay import FluxRelay
from stack.receiver import Answer, CallbackReceiver
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

    (attempt,) = client.callbacks.list(job=job, outcome="failed", since=begun)
    assert (attempt.job_id, attempt.type, attempt.status) == (job.id, "job.succeeded", 410)
    assert attempt.at >= begun
    gone.script()
    assert client.callbacks.replay(begun) >= 1
    eventually(lambda: len(gone.callbacks) > 1)
    eventually(lambda: len(list(client.callbacks.iterate(job=job.id, limit=1))) == 2)
    newest = client.callbacks.list(job=job, type="job.succeeded", limit=1)
    assert newest.items[0].outcome == "delivered"
    assert newest.next_cursor is not None
    assert list(client.callbacks.iterate(job=job, until=begun)) == []


def test_a_sample_is_sent(client: FluxRelay, receiver: CallbackReceiver) -> None:
    """A sample callback arrives, and is signed as all are."""
    tested = client.callbacks.test(receiver.url)
    sample = client.callbacks.test(receiver.url, type="job.failed")

    assert (tested.delivered, tested.status, tested.error) == (True, 204, None)
    assert sample.delivered
    first, second = receiver.wait_for(lambda _: True, count=2, timeout_seconds=60)
    assert client.callbacks.verify(first.body, first.headers).type == "callback.test"
    assert client.callbacks.verify(second.body, second.headers).type == "job.failed"


def test_a_sample_that_nobody_takes(client: FluxRelay, gone: CallbackReceiver) -> None:
    """What a receiver answers is told."""
    tested = client.callbacks.test(gone.url)

    assert (tested.delivered, tested.status) == (False, 410)
