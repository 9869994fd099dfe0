"""Dead letters over HTTP: each tenant finds its own, and sends them again once."""

import base64
import uuid
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import httpx
import pytest
import redis

from stack.stack import Stack
from tests.http.conftest import Caller, Rotating, SandboxDesk

MakeCaller = Callable[[str, str | None], Caller]
#: No job has it.
NOBODY = "01a1feec-f067-755a-8075-f2b1b281c179"


def again(caller: Caller, job_id: str, what: str = "retry") -> httpx.Response:
    """Send a job, or its callback, again."""
    headers = {} if caller.key is None else {"x-key": caller.key}
    return caller.client.post(f"/v1/jobs/{job_id}/{what}", headers=headers)


def dismiss(caller: Caller, job_id: str, kind: str = "job") -> int:
    """Take a dead letter off the list; return the status of the answer."""
    headers = {"x-key": str(caller.key)}
    path = f"/v1/dead-letters/{kind}/{job_id}"
    return caller.client.delete(path, headers=headers).status_code


def listed(caller: Caller, query: str = "limit=100") -> list[str]:
    """Return the ids of all jobs that are listed, over all pages."""
    ids: list[str] = []
    cursor = ""
    while True:
        answer = caller.get(f"/v1/dead-letters?{query}{cursor}")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        ids += [(letter["job"] or letter["batch"])["id"] for letter in page["dead_letters"]]
        if page["next_cursor"] is None:
            return ids
        cursor = f"&cursor={page['next_cursor']}"


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Assert that an answer is a problem of a kind; return it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["type"] == f"urn:fluxrelay:problem:{kind}"
    return document


@pytest.fixture
def dead(api: Caller, sandbox: SandboxDesk) -> Callable[..., str]:
    """Return a function that has a job fail, by default the caller's; it gives its id."""

    def make(caller: Caller = api, **more: Any) -> str:
        mark = uuid.uuid4().hex
        sandbox.faults(refuse_submit={"match": mark, "status": 422})
        job_id = caller.create(f"refused {mark}", **more)
        assert caller.ended(job_id)["error"]["code"] == "provider_rejected"
        sandbox.faults()
        return job_id

    return make


@pytest.fixture
def other(rotating: Rotating, callers: MakeCaller) -> Caller:
    """Return a caller of another tenant."""
    return callers(rotating.url, rotating.other_key)


def test_listed_sent_again_and_gone(api: Caller, dead: Callable[..., str]) -> None:
    """A failed job is listed; sent again it is a new job, which succeeds and names the old one."""
    job_id = dead(priority=3, metadata={"order": 7}, output={"key": "again/{job_id}.{ext}"})
    assert listed(api)[-1] == job_id
    (letter,) = [
        one
        for one in api.get("/v1/dead-letters?limit=100").json()["dead_letters"]
        if (one["job"] or one["batch"])["id"] == job_id
    ]
    old = api.job(job_id)
    assert letter == {"kind": "job", "at": old["ended_at"], "job": old, "batch": None}

    answer = again(api, job_id)

    assert answer.status_code == 202, answer.text
    new_id = answer.json()["id"]
    assert answer.headers["location"] == f"/v1/jobs/{new_id}"
    new = api.ended(new_id)
    assert (new["status"], new["retry_of"], new["retried_as"]) == ("succeeded", job_id, None)
    assert new["image"]["key"].startswith(f"again/{new_id}.")
    same = ("model", "input", "metadata", "priority", "region")
    assert [new[name] for name in same] == [old[name] for name in same]
    assert api.job(job_id) == old | {"retried_as": new_id}
    assert job_id not in listed(api)
    assert again(api, job_id).json()["id"] == new_id


def test_images_go_along(api: Caller, sandbox: SandboxDesk, relay: Stack, picture: bytes) -> None:
    """The provider gets the image that the caller sent once, byte for byte; no copy is left."""
    mark, image = uuid.uuid4().hex, base64.b64encode(picture).decode()
    sandbox.faults(refuse_submit={"match": mark, "status": 422})
    given = {"prompt": mark, "input_image": image}
    job_id = str(api.post({"model": "flux-kontext-pro", "input": given}).json()["id"])
    assert api.ended(job_id)["error"]["code"] == "provider_rejected"
    sandbox.faults()

    new_id = again(api, job_id).json()["id"]

    assert api.ended(new_id)["status"] == "succeeded"
    (task,) = sandbox.tasks(new_id)
    expected = {"bytes": len(picture), "sha256": sha256(picture).hexdigest()}
    assert task["request"]["input_image"] == expected
    s3 = relay.s3()
    for owner in (job_id, new_id):
        prefix = f"_inputs/{owner}/"
        api.eventually(
            lambda prefix=prefix: (  # type: ignore[misc]  # bound now
                s3.list_objects_v2(Bucket=relay.bucket, Prefix=prefix)["KeyCount"] == 0
            )
        )


def test_another_tenant_finds_nothing(api: Caller, other: Caller, dead: Callable[..., str]) -> None:
    """A job of somebody else is not listed, not sent again and not dismissed: it does not exist."""
    job_id, theirs = dead(), dead(other)

    assert job_id not in listed(other)
    assert theirs in listed(other)
    assert theirs not in listed(api)
    for what in ("retry", "callback"):
        problem(again(other, job_id, what), 404, "no-such-job")
        problem(again(other, NOBODY, what), 404, "no-such-job")
    assert dismiss(other, job_id) == 404
    assert job_id in listed(api)


def test_without_a_key(relay: Stack, callers: MakeCaller) -> None:
    """Nobody is told anything without a key."""
    nobody = callers(relay.service_url, None)

    problem(nobody.get("/v1/dead-letters"), 401, "missing-key")
    problem(again(nobody, NOBODY), 401, "missing-key")
    problem(again(nobody, NOBODY, "callback"), 401, "missing-key")
    answer = nobody.client.delete(f"/v1/dead-letters/job/{NOBODY}")
    problem(answer, 401, "missing-key")


def test_what_makes_no_sense(api: Caller, dead: Callable[..., str]) -> None:
    """A good job is not sent again, and a job without a callback has none to send: 409, why."""
    good = api.create("a good one")
    api.ended(good)

    assert "succeeded" in problem(again(api, good), 409, "cannot-send-again")["detail"]
    answer = again(api, dead(), "callback")
    assert "no callback" in problem(answer, 409, "cannot-send-again")["detail"]


@pytest.mark.usefixtures("full_house")
def test_a_job_that_has_not_ended(api: Caller) -> None:
    """While it waits neither the job nor its callback is sent again."""
    waiting = api.create("waits", callback={"url": "https://example.com/"})

    for what in ("retry", "callback"):
        assert "queued" in problem(again(api, waiting, what), 409, "cannot-send-again")["detail"]


def test_filters_and_pages(api: Caller, dead: Callable[..., str]) -> None:
    """Pages of one hold the same letters in the same order; filters leave out the others."""
    mine = [dead(), dead()]

    assert listed(api, "limit=1") == listed(api)
    assert listed(api)[-2:] == mine
    assert set(mine) <= set(listed(api, "kind=job&code=provider_rejected"))
    assert not set(mine) & set(listed(api, "kind=callback"))
    assert not set(mine) & set(listed(api, "code=timed_out"))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("kind=both", "kind"),
        ("code=unlucky", "code"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A1", "limit"),
        ("cursor=nowhere", "cursor"),
        ("cursor=nan_x", "cursor"),
        ("code=lost&Kind=job", "Kind"),
        ("limit=1&limit=2", "limit"),
        ("kind=job&kind=job", "kind"),
    ],
)
def test_bad_queries(api: Caller, query: str, field: str) -> None:
    """What cannot be understood is a 422 that names the parameter and what it may be."""
    document = problem(api.get(f"/v1/dead-letters?{query}"), 422, "invalid-fields")

    (field_error,) = document["errors"]
    assert field_error["field"] == f"query.{field}"
    assert field_error["allowed"]


def test_all_mistakes_of_a_query_at_once(api: Caller) -> None:
    """Each bad parameter has its error."""
    answer = api.get("/v1/dead-letters?kind=x&code=y&limit=z&cursor=&page=2")

    fields = {one["field"] for one in problem(answer, 422, "invalid-fields")["errors"]}
    assert fields == {f"query.{name}" for name in ("kind", "code", "limit", "cursor", "page")}


def test_dismissed(api: Caller, dead: Callable[..., str], redis_of: "redis.Redis") -> None:
    """It is not counted any more, can still be read, and a second time is no mistake."""

    def counted() -> int:
        return int(redis_of.zcard("dead"))

    job_id = dead()
    assert f"fluxrelay_dead_letters {float(counted())}\n" in api.get("/metrics").text
    before = counted()

    assert [dismiss(api, job_id), dismiss(api, job_id)] == [204, 204]

    assert counted() == before - 1
    assert job_id not in listed(api)
    assert api.job(job_id)["status"] == "failed"
    assert dismiss(api, job_id, "nothing") == 404
