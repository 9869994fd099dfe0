"""Batches over HTTP: taken in as a whole, made, counted, and reported once."""

import base64
import json
import uuid
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import httpx
import pytest
import redis

from service.body.json_scanner import LONG
from stack.receiver import CallbackReceiver
from stack.stack import Stack
from tests.http.batch_calls import (
    SIZE,
    accepted,
    callbacks,
    completed,
    item,
    lines,
    results,
    send,
    show,
)
from tests.http.conftest import MODEL, Caller, RunService, SandboxDesk
from tests.http.test_dead_letters import problem
from tests.image_files import drawn

MakeCaller = Callable[[str, str | None], Caller]


def test_a_batch_is_made_and_reported(
    api: Caller, relay: Stack, receiver: CallbackReceiver
) -> None:
    """Each item becomes one job; the file has a line per item, in order; one callback says so."""
    names = [f"item {number}" for number in range(5)]
    whole = {
        "items": [item(name, metadata={"n": name}) for name in names],
        "callback": {"url": receiver.url},
        "metadata": {"order": 7},
    }

    batch = accepted(api, whole)

    assert batch["status"] == "running"
    assert batch["counts"]["total"] == 5
    assert batch["rejected"] == []
    done = completed(api, batch["id"])
    assert done["counts"] == {
        "total": 5, "queued": 0, "submitting": 0, "generating": 0, "storing": 0,
        "succeeded": 5, "failed": 0, "canceled": 0,
    }  # fmt: skip
    assert done["metadata"] == {"order": 7}
    found = results(relay, done)
    assert [line["custom_id"] for line in found] == names
    for line in found:
        job = api.job(line["job_id"])
        assert job["batch"] == {"id": batch["id"], "custom_id": line["custom_id"]}
        assert job["metadata"] == {"n": line["custom_id"]}
        assert line["status"] == "succeeded"
        assert line["artifacts"][0]["key"] == job["image"]["key"]
        assert job["callback"] is None
    api.eventually(lambda: bool(callbacks(receiver)))
    (data,) = callbacks(receiver)
    assert data["id"] == batch["id"]
    assert data["results"] == done["results"]
    api.eventually(lambda: show(api, batch["id"])["callback"]["state"] == "delivered")


def test_the_results_file_is_led_to(
    api: Caller, relay: Stack, own_service: RunService, callers: MakeCaller
) -> None:
    """A presigned URL, or the service itself, gives the file once the batch is completed."""
    batch = accepted(api, {"items": [item("a")]})
    path = f"/v1/batches/{batch['id']}/results"
    problem(api.get(path), 409, "no-result")
    expected = results(relay, completed(api, batch["id"]))

    led = api.get(f"{path}?download=results.ndjson")
    file = httpx.get(led.headers["location"], trust_env=False, timeout=60)

    assert led.status_code == 302
    assert [json.loads(line) for line in file.content.splitlines()] == expected
    assert "results.ndjson" in file.headers["content-disposition"]
    problem(api.get(f"{path}?expires=0"), 422, "invalid-fields")
    with own_service(FLUXRELAY_PRESIGN="off") as service:
        sent = callers(service.url, api.key).get(path)
        assert (sent.status_code, sent.content) == (200, file.content)
        assert sent.headers["content-type"].startswith("application/x-ndjson")


def test_a_batch_can_be_waited_for(api: Caller) -> None:
    """A request that waits is answered once the batch is completed, with its results."""
    batch = accepted(api, {"items": [item("a"), item("b")]})["id"]

    answer = api.get(f"/v1/batches/{batch}?wait=60")

    assert answer.headers["preference-applied"] == "wait=60"
    assert answer.json()["status"] == "completed"
    assert answer.json()["results"]
    problem(api.get(f"/v1/batches/{batch}?wait=long"), 422, "invalid-fields")


def test_lines_may_begin_with_options(api: Caller, relay: Stack) -> None:
    """Defaults of the first line hold for every item, and inputs are merged by field."""
    options = {"defaults": {"model": MODEL, "input": SIZE, "priority": 3}}
    body = lines(
        options,
        {"custom_id": "a", "input": {"prompt": "a"}},
        {"custom_id": "b", "input": {"prompt": "b", "width": 512}, "priority": 4},
    )

    batch = accepted(api, body)

    done = completed(api, batch["id"])
    first, second = (api.job(line["job_id"]) for line in results(relay, done))
    assert (first["input"], first["priority"]) == ({"prompt": "a", **SIZE}, 3)
    assert (second["input"]["width"], second["priority"]) == (512, 4)


def test_one_bad_item_refuses_all(api: Caller, redis_of: "redis.Redis") -> None:
    """Every complaint names its line and its custom_id, and nothing is accepted."""
    before = api.get("/v1/batches").json()
    body = (
        lines(
            {"defaults": {"model": MODEL}},
            item("good"),
            {"custom_id": "wide", "input": {"prompt": "p", "width": -1}},
            {"input": {"prompt": "nameless"}},
            item("good"),
        )
        + b"{broken\n"
    )

    answer = send(api, body)

    document = problem(answer, 422, "invalid-items")
    errors = [(one["line"], one["custom_id"], one["field"]) for one in document["errors"]]
    assert errors == [
        (3, "wide", "input.width"),
        (4, None, "custom_id"),
        (5, "good", "custom_id"),
        (6, None, "item"),
    ]
    assert document["total"] == 4
    assert all(one["allowed"] and one["fix"] for one in document["errors"])
    assert api.get("/v1/batches").json() == before
    assert not redis_of.get("staged") or int(redis_of.get("staged") or 0) == 0


def test_bad_items_can_be_skipped(api: Caller, relay: Stack) -> None:
    """With `on_error: skip` the good items are accepted, and the others listed."""
    body = {"on_error": "skip", "items": [item("a"), item("b", model="no-such"), item("c")]}

    batch = accepted(api, body)

    (rejected,) = batch["rejected"]
    assert (rejected["line"], rejected["custom_id"], rejected["field"]) == (2, "b", "model")
    assert batch["rejected_total"] == 1
    found = results(relay, completed(api, batch["id"]))
    assert [line["custom_id"] for line in found] == ["a", "c"]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"items": []}, 422, "invalid-fields"),
        ({}, 422, "invalid-fields"),
        ({"items": {"a": 1}}, 422, "invalid-fields"),
        ([1], 422, "invalid-fields"),
        ({"items": [item("a")], "on_error": "retry"}, 422, "invalid-fields"),
        ({"items": [item("a")], "behind_single_jobs": 1}, 422, "invalid-fields"),
        ({"items": [item("a")], "results_key": "a/{job_id}"}, 422, "invalid-fields"),
        ({"items": [item("a")], "results_key": "/a"}, 422, "invalid-fields"),
        ({"items": [item("a")], "callback": {"url": "ftp://x"}}, 422, "invalid-fields"),
        ({"items": [item("a")], "color": 1}, 422, "invalid-fields"),
        ({"items": [item("a")], "defaults": {"custom_id": "x"}}, 422, "invalid-fields"),
        ({"items": [1, item("a")]}, 422, "invalid-items"),
        (b"", 422, "invalid-fields"),
        (b"{}\n", 422, "invalid-fields"),
    ],
)
def test_bad_batches_are_refused(api: Caller, body: Any, status: int, kind: str) -> None:
    """Options are checked like fields of a job, and a batch needs an item."""
    problem(send(api, body), status, kind)


@pytest.mark.parametrize("body", [b'{"items": [{]}', b'{"items": [{}],}', b'{"items": [{}'])
def test_a_document_that_is_not_json_is_refused(api: Caller, body: bytes) -> None:
    """It is answered with 400, wherever the error is."""
    headers = {"authorization": f"Bearer {api.key}", "content-type": "application/json"}

    problem(api.client.post("/v1/batches", content=body, headers=headers), 400, "invalid-json")


def test_a_key_makes_one_batch(api: Caller, full_house: None) -> None:
    """The same body with the same key is the first batch again; another body is refused."""
    del full_house
    key, body = uuid.uuid4().hex, {"items": [item("a"), item("b")]}
    first = send(api, body, key=key)

    again = send(api, body, key=key)
    as_lines = send(api, lines(item("a"), item("b")), key=key)
    other = send(api, {"items": [item("a"), item("c")]}, key=key)
    job = api.post({"model": MODEL, "input": {"prompt": "p"}}, idempotency=key)

    assert first.status_code == again.status_code == as_lines.status_code == 202
    assert again.headers["idempotency-replayed"] == "true"
    assert {first.json()["id"]} == {again.json()["id"], as_lines.json()["id"]}
    problem(other, 422, "idempotency-conflict")
    problem(job, 422, "idempotency-conflict")


def test_files_of_items_reach_the_provider(
    api: Caller, relay: Stack, sandbox: SandboxDesk, picture: bytes
) -> None:
    """Base64 of each item is stored as its job's input, short or long, and sent unchanged."""
    large = drawn("PNG", (400, 300))
    assert len(picture) < LONG < len(large)
    files = [large, picture, picture]
    body = lines(
        {"defaults": {"model": "flux-kontext-pro", "input": {"input_image": encoded(picture)}}},
        {"custom_id": "large", "input": {"prompt": "l", "input_image": encoded(large)}},
        {"custom_id": "small", "input": {"prompt": "s", "input_image": encoded(picture)}},
        {"custom_id": "default", "input": {"prompt": "d"}},
    )

    batch = accepted(api, body)

    found = results(relay, completed(api, batch["id"]))
    assert [line["status"] for line in found] == ["succeeded"] * 3
    for line, file in zip(found, files, strict=True):
        (task,) = sandbox.tasks(line["job_id"])
        told = {"bytes": len(file), "sha256": sha256(file).hexdigest()}
        assert task["request"]["input_image"] == told
    s3, names = relay.s3(), [line["job_id"] for line in found]

    def left() -> int:
        listings = (
            s3.list_objects_v2(Bucket=relay.bucket, Prefix=f"_inputs/{name}/") for name in names
        )
        return sum(listing["KeyCount"] for listing in listings)

    api.eventually(lambda: left() == 0)


def test_long_files_are_one_body_for_the_key(api: Caller, picture: bytes, full_house: None) -> None:
    """Files count by their bytes, so the same batch with a key is the first one again."""
    del full_house, picture
    key, file = uuid.uuid4().hex, encoded(drawn("PNG", (400, 300)))
    edit = item("e", model="flux-kontext-pro")
    edit["input"] = {"prompt": "e", "input_image": file}

    first, again = (accepted(api, {"items": [edit]}, key=key)["id"] for _ in range(2))

    assert first == again


def encoded(data: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(data).decode()
