"""Callbacks beyond one job's: chosen events, attempts, replay, and a test of a receiver."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from core.operations.callbacks.samples import TRIABLE
from stack.receiver import Answer, CallbackReceiver
from tests.conftest import Eventually
from tests.doc_pages import page
from tests.http.conftest import Caller, Rotating
from tests.http.described import assert_fits
from tests.http.test_dead_letters import problem

MakeCaller = Callable[[str, str | None], Caller]


@pytest.fixture
def gone() -> Iterator[CallbackReceiver]:
    """Run a receiver that wants no callback, so that the first attempt is the last."""
    with CallbackReceiver() as receiver:
        receiver.script(then=Answer(410))
        yield receiver


def post(caller: Caller, path: str, body: object) -> httpx.Response:
    """POST a body as JSON."""
    headers = {} if caller.key is None else {"x-key": caller.key}
    return caller.client.post(path, json=body, headers=headers)


def attempts(caller: Caller, query: str) -> list[dict[str, Any]]:
    """Return the attempts that a query finds."""
    answer = caller.get(f"/v1/callbacks?{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["attempts"]
    return found


def types(receiver: CallbackReceiver, job_id: str) -> list[str]:
    """Return the types of the events that a receiver was told about a job."""
    bodies = [json.loads(callback.body) for callback in receiver.callbacks]
    return [body["type"] for body in bodies if body["data"]["id"] == job_id]


def test_chosen_events_are_told(
    api: Caller, receiver: CallbackReceiver, eventually: Eventually
) -> None:
    """Who asks for it is told that the job is generating; who chose another end is not told."""
    chosen = {"url": receiver.url, "events": ["job.generating", "job.succeeded"]}
    other = {"url": receiver.url, "events": ["job.failed"]}
    first = api.create("all of it", callback=chosen)
    second = api.create("only failures", callback=other)

    eventually(lambda: "job.succeeded" in types(receiver, first), 60)
    assert set(types(receiver, first)) <= {"job.generating", "job.succeeded"}
    untold = api.ended(second)["callback"]
    assert (untold["state"], untold["events"], untold["log"]) == ("none", ["job.failed"], [])
    assert types(receiver, second) == []


def test_an_end_that_is_not_to_be_told_is_not_sent_again(
    api: Caller, receiver: CallbackReceiver
) -> None:
    """409, why: nobody is told that a callback is sent which never comes."""
    for events in (["job.failed"], ["job.generating"], ["job.generating", "job.canceled"]):
        callback = {"url": receiver.url, "events": events}
        job_id = api.create("untold", callback=callback)
        api.ended(job_id)
        refused = problem(post(api, f"/v1/jobs/{job_id}/callback", {}), 409, "cannot-send-again")
        assert "callback.events" in refused["detail"]
        assert api.job(job_id)["callback"]["state"] == "none"
    chosen = {"url": receiver.url, "events": ["job.succeeded"]}
    told = api.create("told", callback=chosen)
    api.ended(told)
    assert post(api, f"/v1/jobs/{told}/callback", {}).status_code == 202


@pytest.mark.parametrize(
    "events", [[], ["job.done"], "job.failed", {}, [1], ["job.failed", None], ["callback.test"]]
)
def test_events_that_cannot_be_chosen(api: Caller, events: object) -> None:
    """What is no event of a job is refused, with all that are."""
    given = {"url": "https://app.example/done", "events": events}
    body = {"model": "flux-pro-1.1", "input": {"prompt": "x"}, "callback": given}
    answer = api.post(body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "callback.events"
    assert "job.generating" in error["allowed"]


def test_attempts_and_replay(
    api: Caller, gone: CallbackReceiver, eventually: Eventually, rotating: Rotating,
    callers: MakeCaller,
) -> None:  # fmt: skip
    """A failed attempt is listed for its tenant alone; a replay sends the callback again."""
    job_id = api.create("nobody wants it", callback={"url": gone.url})
    eventually(lambda: api.job(job_id)["callback"]["state"] == "dead", 60)

    attempt = attempts(api, f"job={job_id}&outcome=failed")[0]
    assert attempt["job_id"] == job_id
    assert (attempt["batch_id"], attempt["test_id"]) == (None, None)
    assert (attempt["type"], attempt["outcome"], attempt["status"]) == (
        "job.succeeded", "failed", 410,
    )  # fmt: skip
    assert attempts(api, f"job={job_id}&outcome=delivered") == []
    assert attempts(api, f"job={job_id}&type=job.failed") == []
    assert attempts(api, f"job={job_id}&since={attempt['at']}".replace("+", "%2B")) != []
    for earlier in ("0", "1.5"):
        assert attempts(api, f"job={job_id}&until={earlier}") == []
    stranger = callers(rotating.url, rotating.other_key)
    assert attempts(stranger, f"job={job_id}") == []
    assert post(stranger, "/v1/callbacks/replay", {"since": 0}).json()["replayed"] == 0

    gone.script()
    answer = post(api, "/v1/callbacks/replay", {"since": attempt["at"]})
    assert answer.status_code == 202
    assert answer.json()["replayed"] >= 1
    eventually(lambda: attempts(api, f"job={job_id}&outcome=delivered") != [], 60)
    # A busy machine may have made more than these two: delivery is at least once.
    newest = api.get(f"/v1/callbacks?job={job_id}&limit=1").json()
    older = attempts(api, f"job={job_id}&limit=100&cursor={newest['next_cursor']}")
    every = newest["attempts"] + older
    assert len(newest["attempts"]) == 1
    assert {one["outcome"] for one in every} == {"delivered", "failed"}
    assert len({one["id"] for one in every}) == len(every)
    assert attempt["id"] in {one["id"] for one in every}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("outcome=lost", "query.outcome"),
        ("type=job.done", "query.type"),
        ("since=yesterday", "query.since"),
        ("until=2026-01-01T00:00:00", "query.until"),
        ("since=1767225600&until=2025-12-31T23:59:59Z", "query.until"),
        ("limit=0", "query.limit"),
        ("limit=101", "query.limit"),
        ("cursor=1", "query.cursor"),
        ("cursor=", "query.cursor"),
        ("job=x", "query.job"),
        ("tenant=other", "query.tenant"),
        ("limit=1&limit=2", "query.limit"),
    ],
)
def test_bad_filters(api: Caller, query: str, field: str) -> None:
    """An unknown filter or value is named, never passed over."""
    answer = api.get(f"/v1/callbacks?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("path", ["replay", "test"])
@pytest.mark.parametrize(
    "body",
    [{"x": 1}, [], "text", {"since": True, "url": 5}, {"since": 2, "until": 1}, {"type": "batch"}],
)
def test_bad_bodies(api: Caller, path: str, body: object) -> None:
    """A body that cannot be meant is a 422 that names its fields."""
    answer = post(api, f"/v1/callbacks/{path}", body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


@pytest.mark.parametrize("kind", [None, *TRIABLE])
def test_a_receiver_is_tried(api: Caller, receiver: CallbackReceiver, kind: str | None) -> None:
    """A signed sample of any event comes at once, and the answer says what became of it."""
    body = {"url": receiver.url} | ({"type": kind} if kind else {})
    answer = post(api, "/v1/callbacks/test", body)
    assert answer.status_code == 200, answer.text
    outcome = answer.json()
    assert (outcome["delivered"], outcome["status"], outcome["error"]) == (True, 204, None)
    (sample,) = receiver.callbacks
    event, what = json.loads(sample.body), (kind or "callback").partition(".")[0]
    assert event["type"] == (kind or "callback.test")
    document = api.get("/openapi.json").json()
    sent = document["webhooks"][event["type"]]["post"]["requestBody"]["content"]
    assert_fits(api, sent["application/json"]["schema"], event)
    if what == "callback":
        assert event["data"] == sent["application/json"]["example"]["data"]
    else:
        path = {"job": "jobs", "batch": "batches"}[what]
        assert api.get(f"/v1/{path}/{event['data']['id']}").status_code == 404
        assert event["data"]["id"] in page("docs/api/callbacks.md")
        assert (event["data"]["metadata"], event["data"]["callback"]) == ({"test": True}, None)
    assert sample.headers["webhook-id"] == f"msg_test_{outcome['id']}"
    found = attempts(api, f"type={kind or 'callback.test'}&limit=100")
    (listed,) = [one for one in found if one["test_id"] == outcome["id"]]
    assert listed["milliseconds"] == outcome["milliseconds"]
    assert (listed["job_id"], listed["batch_id"]) == (None, None)


def test_a_receiver_that_refuses(api: Caller, gone: CallbackReceiver) -> None:
    """A failed test is a 200 that says so: the request itself was carried out."""
    outcome = post(api, "/v1/callbacks/test", {"url": gone.url}).json()
    assert (outcome["delivered"], outcome["status"]) == (False, 410)


@pytest.mark.parametrize("url", ["http://10.0.0.8/x", "ftp://app.example/x", "nonsense", ""])
def test_a_url_that_no_callback_may_go_to(api: Caller, url: str) -> None:
    """The rules of callbacks hold for tests as well: nothing private is called."""
    answer = post(api, "/v1/callbacks/test", {"url": url})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["url"]


def test_without_a_key(api: Caller, callers: MakeCaller) -> None:
    """Without a key nothing is listed, and nothing is sent."""
    nobody = callers(str(api.client.base_url), None)
    assert nobody.get("/v1/callbacks").status_code == 401
    for path in ("replay", "test"):
        assert post(nobody, f"/v1/callbacks/{path}", {}).status_code == 401
