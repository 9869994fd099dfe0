"""Calls about batches, and what came of them."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import httpx

from stack.receiver import CallbackReceiver
from stack.stack import Stack
from tests.http.conftest import MODEL, Caller

LINES = "application/x-ndjson"
SIZE = {"width": 256, "height": 256}


def item(name: str, **more: object) -> dict[str, Any]:
    """Return an item that succeeds."""
    return {"custom_id": name, "model": MODEL, "input": {"prompt": name, **SIZE}, **more}


def lines(*objects: object) -> bytes:
    """Return objects as NDJSON."""
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)


def send(
    api: Caller, body: Any, *, key: str | None = None, path: str = "/v1/batches"
) -> httpx.Response:
    """POST a batch: bytes are NDJSON, anything else is one document."""
    headers = {"authorization": f"Bearer {api.key}"} | ({"idempotency-key": key} if key else {})
    if isinstance(body, bytes):
        return api.client.post(path, content=body, headers=headers | {"content-type": LINES})
    return api.client.post(path, json=body, headers=headers)


def accepted(api: Caller, body: Any, **more: Any) -> dict[str, Any]:
    """POST a batch that must be accepted; return the answer."""
    answer = send(api, body, **more)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"].endswith(f"/v1/batches/{found['id']}")
    return found


def show(api: Caller, batch_id: str) -> dict[str, Any]:
    """Return the view of a batch."""
    answer = api.get(f"/v1/batches/{batch_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def completed(api: Caller, batch_id: str) -> dict[str, Any]:
    """Return the view of a batch once it has completed."""
    api.eventually(lambda: show(api, batch_id)["status"] == "completed")
    return show(api, batch_id)


def results(relay: Stack, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of a batch's results file, whose size and SHA-256 are as told."""
    told = batch["results"]
    body = relay.s3().get_object(Bucket=told["bucket"], Key=told["key"])["Body"].read()
    assert (len(body), sha256(body).hexdigest()) == (told["bytes"], told["sha256"])
    assert told["uri"] == f"s3://{told['bucket']}/{told['key']}"
    return [json.loads(line) for line in body.splitlines()]


def callbacks(receiver: CallbackReceiver, kind: str = "batch.completed") -> list[Any]:
    """Return the data of the callbacks of a type."""
    bodies = [json.loads(callback.body) for callback in receiver.callbacks]
    return [body["data"] for body in bodies if body["type"] == kind]
