"""A caller who is down is told later, by the same message; one who is gone is left alone."""

from typing import Any

import pytest

from stack.receiver import Answer, Callback, CallbackReceiver
from tests.outage.conftest import RECOVERY, Town
from worker.clients.callbacks import BREAKER_OPEN


@pytest.fixture
def secret(town: Town) -> str:
    """Return the secret that callbacks are signed with."""
    return str(town.client.get("/v1/callback-secret").json()["secret"])


def callback_of(town: Town, job_id: str) -> Any:
    """Return how far the caller of a job has been told."""
    return town.job(job_id)["callback"]


def settled(town: Town, job_id: str, state: str) -> Any:
    """Wait until a callback is in a state; return all that is known of it."""
    town.eventually(lambda: callback_of(town, job_id)["state"] == state, RECOVERY)
    return callback_of(town, job_id)


def ids(callbacks: tuple[Callback, ...]) -> set[str]:
    """Return the message ids of callbacks."""
    return {callback.headers["webhook-id"] for callback in callbacks}


def test_errors_then_success(town: Town, receiver: CallbackReceiver, secret: str) -> None:
    """Errors, a redirect and a closed connection are tried again; every attempt is counted."""
    receiver.script(Answer(500), Answer(302), Answer(None))
    job_id = town.create("told at the fourth try", callback={"url": receiver.url})
    told = settled(town, job_id, "delivered")
    assert told["attempts"] == 4
    assert [attempt["status"] for attempt in told["log"]] == [500, 302, None, 204]
    callbacks = receiver.callbacks
    assert len(callbacks) == 4
    assert ids(callbacks) == {f"msg_{job_id}"}
    for callback in callbacks:
        body: Any = callback.verify(secret)
        assert body["type"] == "job.succeeded"
        assert body["data"]["id"] == job_id


def test_down_then_up(town: Town, receiver: CallbackReceiver, secret: str) -> None:
    """A receiver that refused connections is told once it is up."""
    receiver.go_down()
    job_id = town.create("told when you are up", callback={"url": receiver.url})
    town.eventually(lambda: callback_of(town, job_id)["attempts"] >= 2, RECOVERY)
    receiver.come_up()
    told = settled(town, job_id, "delivered")
    assert {attempt["error"] for attempt in told["log"][:-1]} == {"ConnectError"}
    (callback,) = receiver.callbacks
    callback.verify(secret)


def test_gone(town: Town, receiver: CallbackReceiver) -> None:
    """A receiver that answers 410 is never called again."""
    receiver.script(then=Answer(410))
    job_id = town.create("gone", callback={"url": receiver.url})
    told = settled(town, job_id, "dead")
    assert told["attempts"] == 1
    assert town.job(job_id)["status"] == "succeeded"
    assert len(receiver.callbacks) == 1


def test_never_up(town: Town, receiver: CallbackReceiver) -> None:
    """A callback that nobody took in the time there is becomes a dead letter; the job is good."""
    receiver.script(then=Answer(503))
    job_id = town.create("never told", callback={"url": receiver.url})
    told = settled(town, job_id, "dead")
    made = [attempt for attempt in told["log"] if attempt["error"] != BREAKER_OPEN]
    assert told["attempts"] == len(made) == len(receiver.callbacks)
    assert told["attempts"] >= 3
    assert {attempt["status"] for attempt in made} == {503}
    assert ids(receiver.callbacks) == {f"msg_{job_id}"}
    assert town.job(job_id)["status"] == "succeeded"


def test_failed_job(town: Town, receiver: CallbackReceiver, secret: str) -> None:
    """A job that failed is told like any other, with its error."""
    job_id = town.create("moderate-content please", callback={"url": receiver.url})
    settled(town, job_id, "delivered")
    (callback,) = receiver.callbacks
    body: Any = callback.verify(secret)
    assert body["type"] == "job.failed"
    assert body["data"]["error"]["code"] == "content_moderated"
