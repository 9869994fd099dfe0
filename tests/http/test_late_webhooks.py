"""Webhooks that come after their job was canceled: acknowledged, and its caller is told once."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from stack.receiver import CallbackReceiver
from tests.http.conftest import NEVER, Caller, SandboxDesk, Send
from tests.http.test_cancel import canceled

Told = Callable[[str], dict[str, Any]]


@pytest.fixture
def told(api: Caller, redis_of: "redis.Redis", receiver: CallbackReceiver) -> Told:
    """Return a function that waits until a cancel was told, and asserts that nothing else was."""

    def check(job_id: str) -> dict[str, Any]:
        api.eventually(lambda: api.job(job_id)["callback"]["state"] == "delivered")
        # Whatever starts the step makes it due in the same script: none is under way, or to come.
        assert redis_of.zscore("due", f"notify:{job_id}") is None
        bodies = [json.loads(one.body) for one in receiver.callbacks]
        assert [(one["type"], one["data"]["id"]) for one in bodies] == [("job.canceled", job_id)]
        assert len(api.get(f"/v1/callbacks?job={job_id}").json()["attempts"]) == 1
        view: dict[str, Any] = api.job(job_id)
        return view

    return check


@pytest.fixture
def discarding(
    api: Caller, sandbox: SandboxDesk, redis_of: "redis.Redis", receiver: CallbackReceiver
) -> Iterator[str]:
    """Return a canceled job whose task has ended, of which no webhook and no timer will tell."""
    mark = uuid.uuid4().hex
    sandbox.faults(drop_webhook={"match": mark})
    job_id = api.create(f"not wanted any more {mark}", callback={"url": receiver.url})
    api.eventually(lambda: bool(redis_of.zscore("due", f"poll:{job_id}")))
    redis_of.zadd("due", {f"poll:{job_id}": NEVER, f"deadline:{job_id}": NEVER})
    api.eventually(lambda: [task["status"] for task in sandbox.tasks(job_id)] == ["Ready"])
    assert canceled(api, job_id)["provider"]["discarded"]
    yield job_id
    redis_of.zadd("due", {f"poll:{job_id}": 0}, xx=True)  # its slot is needed
    api.eventually(lambda: not redis_of.hexists(f"job:{job_id}", "discarding"))


def record(redis_of: "redis.Redis", job_id: str) -> Any:
    """Return the record of a job."""
    return redis_of.hgetall(f"job:{job_id}")


def slots(redis_of: "redis.Redis", job_id: str) -> list[str]:
    """Return the slots that a job holds."""
    keys = [str(key) for key in redis_of.scan_iter("slots:*")]
    return [key for key in keys if redis_of.zscore(key, job_id) is not None]


@pytest.mark.parametrize("name", ["id", "task_id"])
@pytest.mark.parametrize("status", ["Ready", "SUCCESS", "Error", "Content Moderated"])
def test_the_end_of_a_discarded_task_is_noted_once(
    *,
    sandbox: SandboxDesk,
    redis_of: "redis.Redis",
    discarding: str,
    send: Send,
    told: Told,
    status: str,
    name: str,
) -> None:
    """The first webhook frees the slot, the second one does nothing; the job is as it was."""
    before = told(discarding)
    (task,) = sandbox.tasks(discarding)
    assert slots(redis_of, discarding)
    body = {name: task["id"], "status": status, "result": {"sample": task["sample_url"]}}

    assert send(discarding, body).json() == {"status": "received"}

    assert slots(redis_of, discarding) == []
    after = record(redis_of, discarding)
    assert send(discarding, body).json() == {"status": "ignored"}
    assert record(redis_of, discarding) == after
    assert told(discarding) == before
    assert before["provider"]["id"] == task["id"]
    assert sandbox.tasks(discarding)[0]["downloads"] == 0


@pytest.mark.parametrize("status", ["Ready", "Error"])
def test_another_task_is_not_the_discarded_one(
    *,
    api: Caller,
    sandbox: SandboxDesk,
    redis_of: "redis.Redis",
    discarding: str,
    send: Send,
    told: Told,
    status: str,
) -> None:
    """The provider is asked about the job's own task instead, and tells what that one cost."""
    before = told(discarding)
    (task,) = sandbox.tasks(discarding)
    body = {"id": "another", "status": status, "result": {"sample": task["sample_url"]}}

    assert send(discarding, body).json() == {"status": "ignored"}

    api.eventually(lambda: not redis_of.hexists(f"job:{discarding}", "discarding"))
    after = record(redis_of, discarding)
    assert send(discarding, body).json() == {"status": "ignored"}
    assert record(redis_of, discarding) == after
    view = told(discarding)
    assert (view["provider"]["id"], view["provider"]["cost"]) == (task["id"], 4)
    assert view | {"provider": None} == before | {"provider": None}


@pytest.mark.usefixtures("full_house")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"id": "t", "status": "Ready", "result": {"sample": "http://127.0.0.1:9/x"}}, 200),
        ({"task_id": "t", "status": "SUCCESS", "result": {"sample": "http://127.0.0.1:9/x"}}, 200),
        ({"id": "t", "status": "Error"}, 200),
        ({"id": "t", "status": "Request Moderated"}, 200),
        ({"id": "t", "status": "Pending"}, 200),
        ({"id": "t", "status": "Sparkling"}, 200),
        ({"id": "t", "status": "Task not found"}, 200),
        (b"{", 400),
    ],
)
def test_a_job_that_was_never_sent_stays_as_it_is(
    *,
    api: Caller,
    redis_of: "redis.Redis",
    receiver: CallbackReceiver,
    send: Send,
    told: Told,
    body: object,
    code: int,
) -> None:
    """Canceled in the queue, it has no task: no webhook about one is believed, once or twice."""
    job_id = api.create("never made", callback={"url": receiver.url})
    canceled(api, job_id)
    told(job_id)
    before = record(redis_of, job_id)

    for _ in range(2):
        answer = send(job_id, body)
        assert answer.status_code == code
        assert code != 200 or answer.json() == {"status": "ignored"}

    assert record(redis_of, job_id) == before
    assert told(job_id)["timeline"][-1]["status"] == "canceled"
    assert redis_of.zscore("due", f"poll:{job_id}") is None
