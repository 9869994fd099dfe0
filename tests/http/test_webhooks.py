"""What webhooks that carry the right secret do, in whatever shape, number and order they come."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.http.conftest import NEVER, Caller, SandboxDesk, Send


@pytest.fixture
def unannounced(api: Caller, sandbox: SandboxDesk, redis_of: "redis.Redis") -> Iterator[str]:
    """Return a job that the provider has finished, of which no webhook and no timer will tell."""
    sandbox.faults(drop_webhook={"match": "unannounced"})
    job_id = api.create("unannounced")
    api.eventually(lambda: bool(redis_of.zscore("due", f"poll:{job_id}")))
    redis_of.zadd("due", {f"poll:{job_id}": NEVER, f"deadline:{job_id}": NEVER})
    api.eventually(lambda: [task["status"] for task in sandbox.tasks(job_id)] == ["Ready"])
    assert api.job(job_id)["status"] == "generating"
    yield job_id
    redis_of.zadd("due", {f"poll:{job_id}": 0}, xx=True)  # its slot is needed
    api.ended(job_id)


def statuses(view: Any) -> list[str]:
    """Return the statuses of a job's timeline."""
    return [step["status"] for step in view["timeline"]]


@pytest.mark.parametrize("shape", ["id", "task_id"])
def test_both_shapes(
    api: Caller, sandbox: SandboxDesk, unannounced: str, send: Send, shape: str
) -> None:
    """Both shapes of the body that were seen in the field end the job, with the right bytes."""
    (task,) = sandbox.tasks(unannounced)
    result = {"sample": task["sample_url"], "seed": 7}
    body = {
        "id": {"id": task["id"], "status": "Ready", "result": result},
        "task_id": {"task_id": task["id"], "status": "SUCCESS", "result": result},
    }[shape]
    assert send(unannounced, body).json() == {"status": "received"}
    view = api.ended(unannounced)
    assert view["status"] == "succeeded"
    assert view["image"]["sha256"] == task["sha256"]
    provider = {name: value for name, value in view["provider"].items() if value is not None}
    assert provider == {"id": task["id"], "seed": 7, "discarded": False, "resubmits": 0}


def test_duplicates(
    api: Caller, sandbox: SandboxDesk, unannounced: str, send: Send, redis_of: "redis.Redis"
) -> None:
    """A second webhook, and one that says the opposite, are acknowledged and change nothing."""
    (task,) = sandbox.tasks(unannounced)
    body = {"id": task["id"], "status": "Ready", "result": {"sample": task["sample_url"]}}
    assert send(unannounced, body).json() == {"status": "received"}
    api.ended(unannounced)
    client: Any = redis_of
    before = client.hgetall(f"job:{unannounced}")
    for late in (body, {**body, "status": "Error"}, {**body, "status": "Content Moderated"}):
        answer = send(unannounced, late)
        assert answer.status_code == 200
        assert answer.json() == {"status": "ignored"}
    assert client.hgetall(f"job:{unannounced}") == before


def test_five_at_once(api: Caller, sandbox: SandboxDesk) -> None:
    """A webhook that comes five times at once stores one image, once."""
    sandbox.faults(duplicate_webhook={"match": "five times", "copies": 5})
    job_id = api.create("five times")
    view = api.ended(job_id)
    api.eventually(lambda: len(sandbox.tasks(job_id)[0]["deliveries"]) == 5)
    assert statuses(view) == ["queued", "submitting", "generating", "storing", "succeeded"]
    (task,) = sandbox.tasks(job_id)
    assert [delivery["status"] for delivery in task["deliveries"]] == [200] * 5
    assert task["downloads"] == 1


@pytest.mark.parametrize(
    "body",
    [
        {"id": "t", "status": "Sparkling"},
        {"id": "t", "status": None},
        {"id": "t"},
        {},
        {"id": "t", "status": "Ready"},
        {"id": "t", "status": "Ready", "result": None},
        {"id": "t", "status": "Ready", "result": {"sample": 7}},
        {"task_id": "t", "status": "SUCCESS", "result": []},
        {"id": 7, "status": ["Ready"], "result": "x", "details": 5, "cost": "much"},
        {"id": "t", "status": "Task not found"},
    ],
)
def test_unclear(
    api: Caller, sandbox: SandboxDesk, unannounced: str, send: Send, body: object
) -> None:
    """What cannot be acted on is acknowledged, and the provider is asked instead."""
    answer = send(unannounced, body)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ignored"}
    view = api.ended(unannounced)
    assert view["status"] == "succeeded"
    assert view["image"]["sha256"] == sandbox.tasks(unannounced)[0]["sha256"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'"Ready"', b"\xff\xfe", b"[" * 100_000]
)
def test_broken_body(api: Caller, unannounced: str, send: Send, content: bytes) -> None:
    """What is no JSON object is refused with 400, and the provider is asked what happened."""
    answer = send(unannounced, content)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.ended(unannounced)["status"] == "succeeded"


@pytest.mark.parametrize("status", ["Pending", "processing", "Generating", "QUEUED"])
def test_not_yet(
    api: Caller, unannounced: str, send: Send, redis_of: "redis.Redis", status: str
) -> None:
    """News of a task that goes on is acknowledged, and changes nothing at all."""
    client: Any = redis_of
    before = client.hgetall(f"job:{unannounced}")
    assert send(unannounced, {"id": "t", "status": status}).json() == {"status": "ignored"}
    assert client.hgetall(f"job:{unannounced}") == before
    assert api.job(unannounced)["status"] == "generating"


@pytest.mark.parametrize(
    ("field", "body", "code"),
    [
        ("id", {"status": "Request Moderated"}, "request_moderated"),
        ("task_id", {"status": "GENERATED CONTENT MODERATED"}, "content_moderated"),
        ("id", {"status": "Error"}, "provider_error"),
        ("task_id", {"status": "FAILED"}, "provider_error"),
        ("id", {"status": "Error", "details": {"error": "Bad input image"}}, "invalid_input"),
    ],
)
def test_failures(  # noqa: PLR0917 - pytest passes them by name
    api: Caller,
    sandbox: SandboxDesk,
    unannounced: str,
    send: Send,
    field: str,
    body: dict[str, object],
    code: str,
) -> None:
    """A failure in any spelling ends the job with its code."""
    (task,) = sandbox.tasks(unannounced)
    assert send(unannounced, {field: task["id"], **body}).json() == {"status": "received"}
    view = api.job(unannounced)
    assert view["status"] == "failed"
    assert view["error"]["code"] == code


@pytest.mark.parametrize("status", ["Ready", "Error", "Content Moderated"])
def test_regression_another_task(
    api: Caller, sandbox: SandboxDesk, unannounced: str, send: Send, status: str
) -> None:
    """Another job's task is not taken for this one's; it used to end the job with that image."""
    other = api.create("a job whose image is not for others")
    api.ended(other)
    (theirs,) = sandbox.tasks(other)
    result = {"sample": theirs["sample_url"]}
    answer = send(unannounced, {"id": theirs["id"], "status": status, "result": result})
    assert (answer.status_code, answer.json()) == (200, {"status": "ignored"})
    view = api.ended(unannounced)
    (task,) = sandbox.tasks(unannounced)
    assert view["status"] == "succeeded"
    assert view["image"]["sha256"] == task["sha256"] != theirs["sha256"]
    assert view["provider"]["id"] == task["id"]


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity", "1" + "0" * 400])
def test_regression_unreal_numbers(
    api: Caller, sandbox: SandboxDesk, unannounced: str, send: Send, number: str
) -> None:
    """A cost that is no real number is left out; it used to make the job unreadable."""
    (task,) = sandbox.tasks(unannounced)
    body = {"id": task["id"], "status": "Ready", "result": {"sample": task["sample_url"]}}
    content = json.dumps({**body, "cost": "NUMBER"}).replace('"NUMBER"', number)
    assert send(unannounced, content.encode()).json() == {"status": "received"}
    view = api.ended(unannounced)
    assert view["status"] == "succeeded"
    assert view["provider"]["cost"] is None


def test_before_the_answer(api: Caller, sandbox: SandboxDesk) -> None:
    """A webhook that comes before the submit's own answer ends the job, paid for once."""
    sandbox.faults(
        early_webhook={"match": "overtaken"}, delay_answer={"match": "overtaken", "seconds": 1}
    )
    job_id = api.create("overtaken")
    view = api.ended(job_id)
    assert statuses(view) == ["queued", "submitting", "storing", "succeeded"]
    (task,) = sandbox.tasks(job_id)
    assert view["image"]["sha256"] == task["sha256"]
    assert view["provider"]["id"] == task["id"]


def test_instead_of_the_answer(api: Caller, sandbox: SandboxDesk) -> None:
    """Where the answer never comes the webhook is enough, and nothing is submitted again."""
    sandbox.faults(cut_answer={"match": "cut off"})
    job_id = api.create("cut off")
    view = api.ended(job_id)
    assert view["status"] == "succeeded"
    assert view["provider"]["resubmits"] == 0
    (task,) = sandbox.tasks(job_id)
    assert view["provider"]["id"] == task["id"]


def test_result_on_a_strange_host(
    api: Caller, sandbox: SandboxDesk, unannounced: str, send: Send
) -> None:
    """A result on a host that is not the provider's is not fetched; get_result is asked."""
    (task,) = sandbox.tasks(unannounced)
    result = {"sample": "http://169.254.169.254/latest/meta-data"}
    send(unannounced, {"id": task["id"], "status": "Ready", "result": result})
    view = api.ended(unannounced)
    assert view["image"]["sha256"] == task["sha256"]
