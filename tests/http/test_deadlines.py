"""Deadlines that a job brings, in a header or in its body."""

import time
import uuid
from typing import Any

import httpx
import pytest
import redis

from core.timestamps import milliseconds, unix_time
from tests.http.conftest import MODEL, Caller, SandboxDesk
from tests.http.test_cancel import canceled
from tests.http.test_dead_letters import listed, problem


def _timed(caller: Caller, header: object = None, **fields: object) -> httpx.Response:
    """POST a job with a deadline of its own."""
    body = {"model": MODEL, "input": {"prompt": "in time"}, **fields}
    headers = {"x-key": str(caller.key)}
    if header is not None:
        headers["cancel-after"] = str(header)
    return caller.client.post("/v1/jobs", json=body, headers=headers)


@pytest.mark.usefixtures("full_house")
@pytest.mark.parametrize("way", ["header", "seconds", "fraction", "time"])
def test_a_deadline_of_its_own(api: Caller, way: str) -> None:
    """Seconds in the header or the body, or a time in any zone: the job shows when it ends."""
    later = time.time() + 600
    ways: dict[str, dict[str, Any]] = {
        "header": {"header": 600},
        "seconds": {"deadline": 600},
        "fraction": {"deadline": 599.5},
        "time": {"deadline": milliseconds(later + 7200).replace("Z", "+02:00")},
    }

    answer = _timed(api, **ways[way])

    assert answer.status_code == 202, answer.text
    assert unix_time(answer.json()["deadline_at"]) == pytest.approx(later, abs=60)
    canceled(api, answer.json()["id"])


@pytest.mark.usefixtures("full_house")
def test_a_job_ends_at_its_own_deadline(api: Caller) -> None:
    """It fails as timed out, seconds after it was sent."""
    answer = _timed(api, 5)

    ended = api.ended(answer.json()["id"])

    assert (ended["status"], ended["error"]["code"]) == ("failed", "timed_out")
    assert ended["ended_at"] >= ended["deadline_at"]


def test_a_deadline_does_not_free_the_slot_of_a_running_task(
    api: Caller, sandbox: SandboxDesk, redis_of: "redis.Redis"
) -> None:
    """The job fails at its deadline; the provider counts its task until that has ended."""
    mark = uuid.uuid4().hex
    sandbox.faults(delay_generation={"match": mark, "seconds": 8})
    answer = api.client.post(
        "/v1/jobs",
        json={"model": MODEL, "input": {"prompt": f"too slow {mark}"}, "deadline": 5},
        headers={"x-key": str(api.key)},
    )
    job_id = str(answer.json()["id"])

    ended = api.ended(job_id)

    assert (ended["status"], ended["error"]["code"]) == ("failed", "timed_out")
    assert ended["provider"]["discarded"] is True
    api.eventually(lambda: not redis_of.hexists(f"job:{job_id}", "discarding"))
    after = api.job(job_id)
    assert (after["status"], after["artifacts"]) == ("failed", [])
    (task,) = sandbox.tasks(job_id)
    assert task["status"] == "Ready"
    assert job_id in listed(api)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"header": "soon"}, "Cancel-After"),
        ({"header": "4"}, "Cancel-After"),
        ({"header": "604801"}, "Cancel-After"),
        ({"header": "5.5"}, "Cancel-After"),
        ({"header": ""}, "Cancel-After"),
        ({"header": 60, "deadline": 60}, "deadline"),
        ({"deadline": 4.9}, "deadline"),
        ({"deadline": 604_801}, "deadline"),
        ({"deadline": True}, "deadline"),
        ({"deadline": "600"}, "deadline"),
        ({"deadline": "2026-11-28T12:00:00"}, "deadline"),
        ({"deadline": "2001-01-01T00:00:00Z"}, "deadline"),
        ({"deadline": []}, "deadline"),
    ],
)
def test_a_bad_deadline(api: Caller, asked: dict[str, Any], field: str) -> None:
    """It is refused, with what is allowed."""
    document = problem(_timed(api, **asked), 422, "invalid-fields")

    (error,) = document["errors"]
    assert error["field"] == field
    assert error["allowed"]


def test_two_headers_that_differ(api: Caller) -> None:
    """Neither is guessed at."""
    headers = [("x-key", str(api.key)), ("cancel-after", "60"), ("cancel-after", "61")]
    body = {"model": MODEL, "input": {"prompt": "when?"}}

    document = problem(
        api.client.post("/v1/jobs", json=body, headers=headers), 422, "invalid-fields"
    )

    assert [error["field"] for error in document["errors"]] == ["Cancel-After"]


@pytest.mark.usefixtures("full_house")
def test_the_header_counts_for_the_idempotency_key(api: Caller) -> None:
    """The same key with the same seconds is the same job; with others it is a conflict."""
    body = {"model": MODEL, "input": {"prompt": "once"}}

    def post(seconds: str | None, **more: object) -> httpx.Response:
        headers = {"x-key": str(api.key), "idempotency-key": key}
        headers |= {"cancel-after": seconds} if seconds else {}
        return api.client.post("/v1/jobs", json={**body, **more}, headers=headers)

    key = uuid.uuid4().hex
    first = post("600")

    assert post("600").json()["id"] == first.json()["id"]
    assert post(None, deadline=600).json()["id"] == first.json()["id"]
    problem(post("601"), 422, "idempotency-conflict")
    problem(post(None), 422, "idempotency-conflict")
    canceled(api, first.json()["id"])
