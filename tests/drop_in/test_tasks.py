"""Tasks as the provider's clients see them: on submit, while they run, and at their end."""

import re
from typing import Any

import httpx
import pytest
import redis

from stack.stack import Stack
from tests.drop_in.conftest import OTHER_KEY, Client, MakeClient, RqBookkeeping, RunService, digest

EMPTY = {"result": None, "progress": None, "details": None, "preview": None}


def put_at(redis_of: "redis.Redis", task_id: str, status: str, **fields: str) -> None:
    """Write into a waiting job's record that it stands at a status."""
    timeline = f"queued=1.000;{status}=2.000"
    for name, value in (fields | {"status": status, "timeline": timeline}).items():
        redis_of.hset(f"job:{task_id}", name, value)


@pytest.mark.usefixtures("full_house")
def test_a_submit_without_a_webhook(client: Client, relay: Stack) -> None:
    """The answer has an absolute URL to poll, on the origin that was asked, and no more."""
    task = client.submitted("polled")
    url = f"{relay.service_url}/v1/get_result?id={task['id']}"
    costs = {"cost": None, "input_mp": None, "output_mp": None}
    assert task == {"id": task["id"], "polling_url": url, **costs}
    assert client.get(url).json() == {"id": task["id"], "status": "Pending", **EMPTY}


@pytest.mark.usefixtures("full_house")
def test_a_submit_with_a_webhook(client: Client) -> None:
    """The answer names the webhook's URL and has none to poll."""
    url = "https://example.com/hook?for=me"
    task = client.submitted("told", webhook_url=url, webhook_secret="mine")
    costs = {"cost": None, "input_mp": None, "output_mp": None}
    assert task == {"id": task["id"], "status": "Pending", "webhook_url": url, **costs}
    assert client.result(task["id"])["status"] == "Pending"


def test_ready(client: Client, books: RqBookkeeping, relay: Stack) -> None:
    """A finished task has its image's link on our origin, prompt, seed and times."""
    task = client.finished(client.submitted("a red fox", seed=77)["id"])
    result = task["result"]
    assert task["status"] == "Ready"
    assert result["sample"].startswith(f"{relay.service_url}/v1/samples/{task['id']}.jpeg?sig=")
    assert (result["prompt"], result["seed"]) == ("a red fox", 77)
    assert result["end_time"] - result["start_time"] == pytest.approx(result["duration"], abs=0.01)
    assert result["duration"] > 0
    image = httpx.get(result["sample"], trust_env=False, timeout=60).content
    assert digest(image) == books.made(task["id"])["sha256"]


def test_a_seed_that_was_not_asked_for(client: Client) -> None:
    """Without a seed in the request the provider's own is given, as a number."""
    task = client.finished(client.submitted("any seed")["id"])
    assert isinstance(task["result"]["seed"], int)


@pytest.mark.parametrize(
    ("prompt", "status", "details"),
    [
        ("moderate-request", "Request Moderated", "Moderation Reasons"),
        ("moderate-content", "Content Moderated", "Moderation Reasons"),
        ("fail-generation", "Error", "error"),
    ],
)
def test_failed(client: Client, prompt: str, status: str, details: str) -> None:
    """A failed task has the provider's status, its details, and no result."""
    task = client.finished(client.submitted(prompt)["id"])
    assert (task["status"], task["result"]) == (status, None)
    assert task["details"][details]


@pytest.mark.usefixtures("full_house")
def test_our_own_failures_are_errors(client: Client, redis_of: "redis.Redis") -> None:
    """A failure that the provider has no status for is an `Error` that says what happened."""
    task_id = client.submitted("will be lost")["id"]
    error = '{"code": "timed_out", "message": "It took too long", "retryable": true}'
    put_at(redis_of, task_id, "failed", error=error)
    task = client.result(task_id)
    assert (task["status"], task["details"]) == ("Error", {"error": "It took too long"})


@pytest.mark.usefixtures("full_house")
@pytest.mark.parametrize("status", ["submitting", "generating", "storing"])
def test_statuses_on_the_way_are_pending(
    client: Client, redis_of: "redis.Redis", status: str
) -> None:
    """However far a job is, until its end its task is `Pending`, a status that all clients know."""
    task_id = client.submitted("on its way")["id"]
    put_at(redis_of, task_id, status)
    assert client.result(task_id) == {"id": task_id, "status": "Pending", **EMPTY}
    put_at(redis_of, task_id, "queued")


@pytest.mark.usefixtures("full_house")
def test_the_cost_once_it_is_known(client: Client, redis_of: "redis.Redis") -> None:
    """A task whose cost the provider told has it when it is ready; before, it has none."""
    task_id = client.submitted("costs")["id"]
    image = '{"bucket": "b", "key": "k", "bytes": 1, "sha256": "00", "content_type": "image/png"}'
    put_at(redis_of, task_id, "succeeded", cost="4.5", image=image)
    task = client.result(task_id)
    assert (task["status"], task["cost"]) == ("Ready", 4.5)
    assert f"/{task_id}.png?" in task["result"]["sample"]


@pytest.mark.parametrize("task_id", ["", "no-such-task", "0198-%00", "x" * 3000])
def test_unknown_tasks(client: Client, task_id: str) -> None:
    """A task that never was is a 404 with a task's body."""
    answer = client.http.get("/v1/get_result", params={"id": task_id}, headers=client.headers)
    assert answer.status_code == 404
    assert answer.json() == {"id": task_id, "status": "Task not found", **EMPTY}


def test_a_question_without_an_id(client: Client) -> None:
    """Without an id the answer is the provider's validation error."""
    answer = client.get("/v1/get_result")
    assert answer.status_code == 422
    expected = [{"loc": ["query", "id"], "msg": "Field required", "type": "missing"}]
    assert answer.json()["detail"] == expected


@pytest.mark.parametrize("query", ["id={0}&id=x", "id={0}&id={0}", "id=&id={0}"])
def test_a_question_with_two_ids(client: Client, query: str) -> None:
    """Which of two ids is meant is not guessed: the answer is a validation error that names it."""
    task_id = client.submitted("asked for twice")["id"]
    answer = client.get(f"/v1/get_result?{query.format(task_id)}")
    assert answer.status_code == 422
    (error,) = answer.json()["detail"]
    assert error["loc"] == ["query", "id"]
    assert "given more than once" in error["msg"]


def test_another_tenants_task(
    client: Client, clients: MakeClient, second_service: RunService
) -> None:
    """To another tenant a task does not exist, in the very words for one that never was."""
    task_id = client.finished(client.submitted("private")["id"])["id"]
    with second_service() as url:
        stranger = clients(url, OTHER_KEY)
        answer = stranger.get(f"/v1/get_result?id={task_id}")
        assert answer.status_code == 404
        assert answer.json() == {"id": task_id, "status": "Task not found", **EMPTY}
        assert clients(url, client.key).result(task_id)["status"] == "Ready"


def test_a_task_is_a_job(client: Client) -> None:
    """`GET /v1/jobs/{id}` shows a task of this API like any job."""
    task = client.finished(client.submitted("both APIs", seed=5, output_format="png")["id"])
    job: dict[str, Any] = client.get(f"/v1/jobs/{task['id']}").json()
    sent = {"prompt": "both APIs", "seed": 5, "width": 256, "height": 256, "output_format": "png"}
    assert (job["status"], job["model"], job["input"]) == ("succeeded", "flux-pro-1.1", sent)
    assert re.search(r"\.png\?sig=", task["result"]["sample"])


def test_a_job_is_a_task(client: Client) -> None:
    """A job of our native API can be asked for as a task."""
    body = {"model": "flux-pro-1.1", "input": {"prompt": "native", "width": 256, "height": 256}}
    made = client.http.post("/v1/jobs", json=body, headers=client.headers)
    assert client.finished(made.json()["id"])["status"] == "Ready"


def test_credits(client: Client, redis_of: "redis.Redis") -> None:
    """Credits are what workers saw last; while none has, a 503 says so."""
    redis_of.delete("pool:default:credits")
    unknown = client.get("/v1/credits")
    assert (unknown.status_code, list(unknown.json())) == (503, ["detail"])
    redis_of.set("pool:default:credits", "812.5")
    assert client.get("/v1/credits").json() == {"credits": 812.5}
    redis_of.delete("pool:default:credits")
