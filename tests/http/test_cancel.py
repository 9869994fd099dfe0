"""Canceling over HTTP: one job at a time, by POST or DELETE."""

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import redis

from stack.receiver import CallbackReceiver
from stack.stack import Stack
from tests.http.conftest import MODEL, NEVER, Caller, Rotating, SandboxDesk, Send
from tests.http.test_dead_letters import listed, problem

WAYS = ("POST", "DELETE")
#: No job has it.
NOBODY = "01a1feec-f067-755a-8075-f2b1b281c179"


def cancel(caller: Caller, job_id: str, way: str = "POST") -> httpx.Response:
    """Cancel a job."""
    headers = {} if caller.key is None else {"x-key": caller.key}
    path = f"/v1/jobs/{job_id}" + ("/cancel" if way == "POST" else "")
    return caller.client.request(way, path, headers=headers)


def canceled(caller: Caller, job_id: str, way: str = "POST") -> dict[str, Any]:
    """Cancel a job; return what the 200 shows."""
    answer = cancel(caller, job_id, way)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    view: dict[str, Any] = answer.json()
    return view


@pytest.mark.usefixtures("full_house")
@pytest.mark.parametrize("way", WAYS)
def test_a_queued_job(api: Caller, sandbox: SandboxDesk, way: str) -> None:
    """It ends at once, and costs nothing: the provider never hears of it."""
    job_id = api.create("never made")

    view = canceled(api, job_id, way)

    assert (view["status"], view["error"]) == ("canceled", None)
    assert view["ended_at"] == view["timeline"][-1]["at"]
    assert (view["provider"]["discarded"], view["provider"]["cost"]) == (False, None)
    assert api.job(job_id) == view
    assert sandbox.tasks(job_id) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_generating_job(
    *,
    api: Caller,
    sandbox: SandboxDesk,
    relay: Stack,
    redis_of: "redis.Redis",
    receiver: CallbackReceiver,
    way: str,
) -> None:
    """Its caller sees the end at once; the task goes on, is paid for, and thrown away."""
    mark = uuid.uuid4().hex
    sandbox.faults(delay_generation={"match": mark, "seconds": 2})
    job_id = api.create(f"slow {mark}", callback={"url": receiver.url})
    api.eventually(lambda: api.job(job_id)["status"] == "generating")

    view = canceled(api, job_id, way)

    assert (view["status"], view["provider"]["discarded"]) == ("canceled", True)
    assert canceled(api, job_id, way)["timeline"] == view["timeline"]
    slots = [str(key) for key in redis_of.scan_iter("slots:*")]
    assert any(redis_of.zscore(key, job_id) is not None for key in slots)
    api.eventually(lambda: not redis_of.hexists(f"job:{job_id}", "discarding"))
    assert all(redis_of.zscore(key, job_id) is None for key in slots)
    after = api.job(job_id)
    assert (after["status"], after["artifacts"], after["timeline"]) == (
        "canceled",
        [],
        view["timeline"],
    )
    (task,) = sandbox.tasks(job_id)
    assert (task["status"], task["downloads"]) == ("Ready", 0)
    assert after["provider"]["id"] == task["id"]
    keys = relay.s3().list_objects_v2(Bucket=relay.bucket).get("Contents", ())
    assert [item["Key"] for item in keys if job_id in item["Key"]] == []
    told = [json.loads(one.body) for one in receiver.callbacks]
    assert [(one["type"], one["data"]["status"]) for one in told] == [("job.canceled", "canceled")]


@pytest.mark.parametrize(
    ("model", "webhook", "cost"),
    [("flux-2-pro", True, 3), ("flux-2-pro", False, 3), (MODEL, False, 4)],
)
def test_what_a_discarded_task_cost_is_shown(
    *,
    api: Caller,
    sandbox: SandboxDesk,
    redis_of: "redis.Redis",
    send: Send,
    model: str,
    webhook: bool,
    cost: float,
) -> None:
    """As the provider tells it: with its answer to the submit, or when it is asked later."""
    mark = uuid.uuid4().hex
    sandbox.faults(drop_webhook={"match": mark})
    job_id = api.create(mark, model)
    api.eventually(lambda: bool(redis_of.zscore("due", f"poll:{job_id}")))
    redis_of.zadd("due", {f"poll:{job_id}": NEVER})

    view = canceled(api, job_id)

    told_at_once = model == "flux-2-pro"
    assert view["provider"]["discarded"]
    assert view["provider"]["cost"] == (cost if told_at_once else None)
    api.eventually(lambda: [task["status"] for task in sandbox.tasks(job_id)] == ["Ready"])
    (task,) = sandbox.tasks(job_id)
    if webhook:
        result = {"sample": task["sample_url"]}
        answer = send(job_id, {"id": task["id"], "status": "Ready", "result": result})
        assert answer.json() == {"status": "received"}
    else:
        redis_of.zadd("due", {f"poll:{job_id}": 0}, xx=True)
    api.eventually(lambda: not redis_of.hexists(f"job:{job_id}", "discarding"))
    after = api.job(job_id)
    assert (after["provider"]["discarded"], after["provider"]["cost"]) == (True, cost)
    assert after | {"provider": None} == view | {"provider": None}


def test_a_result_that_is_being_stored(api: Caller, sandbox: SandboxDesk) -> None:
    """It is all but done: 409, and the job goes on to its success."""
    mark = uuid.uuid4().hex
    sandbox.faults(refuse_download={"match": mark, "status": 503})
    job_id = api.create(f"nearly there {mark}")
    api.eventually(lambda: api.job(job_id)["status"] == "storing")

    document = problem(cancel(api, job_id), 409, "cannot-cancel")

    assert "is being stored" in document["detail"]
    sandbox.faults()
    assert api.ended(job_id)["status"] == "succeeded"


@pytest.mark.parametrize("way", WAYS)
def test_an_ended_job_is_shown_as_it_is(api: Caller, way: str) -> None:
    """Whoever cancels too late gets the result."""
    job_id = api.create("done already")
    ended = api.ended(job_id)

    assert canceled(api, job_id, way) == ended
    assert ended["status"] == "succeeded"


@pytest.mark.usefixtures("full_house")
def test_a_canceled_job_is_not_sent_again(api: Caller) -> None:
    """It is no dead letter, and only failed jobs are retried."""
    job_id = api.create("not wanted any more")
    canceled(api, job_id)

    assert job_id not in listed(api)
    headers = {"x-key": str(api.key)}
    answer = api.client.post(f"/v1/jobs/{job_id}/retry", headers=headers)
    problem(answer, 409, "cannot-send-again")


@pytest.mark.usefixtures("full_house")
def test_the_inputs_of_a_canceled_job_are_deleted(
    api: Caller, relay: Stack, picture: bytes
) -> None:
    """Nobody needs them any more."""
    image = base64.b64encode(picture).decode()
    body = {"model": "flux-kontext-pro", "input": {"prompt": "x", "input_image": image}}
    job_id = str(api.post(body).json()["id"])
    prefix = f"_inputs/{job_id}/"
    s3 = relay.s3()
    assert s3.list_objects_v2(Bucket=relay.bucket, Prefix=prefix)["KeyCount"] == 1

    canceled(api, job_id)

    api.eventually(lambda: s3.list_objects_v2(Bucket=relay.bucket, Prefix=prefix)["KeyCount"] == 0)


@pytest.mark.usefixtures("full_house")
@pytest.mark.parametrize("way", WAYS)
def test_only_its_own_caller_cancels_a_job(
    api: Caller, callers: Callable[[str, str | None], Caller], rotating: Rotating, way: str
) -> None:
    """To another tenant it does not exist, and without a key nothing does."""
    job_id = api.create("mine")
    other = callers(rotating.url, rotating.other_key)

    problem(cancel(other, job_id, way), 404, "no-such-job")
    problem(cancel(api, NOBODY, way), 404, "no-such-job")
    problem(cancel(callers(rotating.url, None), job_id, way), 401, "missing-key")

    assert api.job(job_id)["status"] == "queued"
    canceled(api, job_id, way)


def test_a_job_s_path_names_its_methods(api: Caller) -> None:
    """Whoever tries another method learns of GET and DELETE."""
    answer = api.client.put(f"/v1/jobs/{NOBODY}", headers={"x-key": str(api.key)})

    problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == {"DELETE", "GET", "HEAD"}


@pytest.mark.usefixtures("full_house")
def test_a_drop_in_client_sees_an_error(api: Caller) -> None:
    """The provider has no status for it; the details say what happened."""
    job_id = api.create("canceled here, asked for there")
    canceled(api, job_id)

    shown = api.get(f"/v1/get_result?id={job_id}").json()

    assert (shown["status"], shown["details"]) == ("Error", {"error": "The job was canceled"})
