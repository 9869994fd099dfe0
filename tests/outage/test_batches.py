"""A batch whose Redis, bucket or service goes away in the middle of it."""

import json
import uuid
from typing import Any

import httpx

from tests.outage.conftest import RECOVERY, Town

SIZE = {"width": 256, "height": 256}


def batch(count: int, mark: str = "item") -> bytes:
    """Return a batch as NDJSON."""
    options = {"defaults": {"model": "flux-pro-1.1", "input": SIZE}}
    items = [{"custom_id": f"{n}", "input": {"prompt": f"{mark} {n}"}} for n in range(count)]
    return b"".join(json.dumps(line).encode() + b"\n" for line in (options, *items))


def send(town: Town, body: bytes, key: str) -> httpx.Response:
    """POST a batch."""
    headers = {"content-type": "application/x-ndjson", "idempotency-key": key}
    return town.client.post("/v1/batches", content=body, headers=headers)


def show(town: Town, batch_id: str) -> dict[str, Any]:
    """Return the view of a batch, empty while it cannot be read."""
    answer = town.client.get(f"/v1/batches/{batch_id}")
    found: dict[str, Any] = answer.json() if answer.is_success else {}
    return found


def completes(town: Town, batch_id: str) -> dict[str, Any]:
    """Wait for the batch's end; return its view."""
    town.eventually(lambda: show(town, batch_id).get("status") == "completed", RECOVERY)
    return show(town, batch_id)


def lines(town: Town, view: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the lines of the results file."""
    told = view["results"]
    body = town.stack.s3().get_object(Bucket=told["bucket"], Key=told["key"])["Body"].read()
    return [json.loads(line) for line in body.splitlines()]


def each_once(town: Town, batch_id: str, count: int) -> None:
    """Check that every item became one job, which was made once, and stands in the file."""
    found = lines(town, completes(town, batch_id))
    assert [line["custom_id"] for line in found] == [f"{n}" for n in range(count)]
    assert len({line["job_id"] for line in found}) == count
    assert {line["status"] for line in found} == {"succeeded"}


def test_without_redis_no_batch_is_accepted(town: Town) -> None:
    """It is answered with 503; the same request with the same key is accepted afterwards."""
    key, valkey = uuid.uuid4().hex, town.stack.valkey.process
    valkey.kill()
    try:
        refused = send(town, batch(3), key)
    finally:
        valkey.start()
        valkey.wait_ready()

    assert refused.status_code == 503, refused.text
    town.eventually(lambda: town.client.get("/readyz").is_success, RECOVERY)
    accepted = send(town, batch(3), key)
    assert accepted.status_code == 202, accepted.text
    each_once(town, accepted.json()["id"], 3)


def test_redis_dies_right_after_the_202(town: Town) -> None:
    """The batch was on disk: every item becomes one job when Redis is back."""
    key, valkey = uuid.uuid4().hex, town.stack.valkey.process
    accepted = send(town, batch(20), key)
    valkey.kill()
    valkey.start()
    valkey.wait_ready()

    assert accepted.status_code == 202, accepted.text
    town.eventually(lambda: town.client.get("/readyz").is_success, RECOVERY)
    again = send(town, batch(20), key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["id"] == accepted.json()["id"]
    each_once(town, accepted.json()["id"], 20)


def test_the_service_dies_right_after_the_202(town: Town) -> None:
    """Nothing of the batch is in the service: the sweep makes its jobs."""
    service = town.stack.processes["service"]
    accepted = send(town, batch(5), uuid.uuid4().hex)
    service.kill()
    service.start()
    service.wait_ready()

    assert accepted.status_code == 202, accepted.text
    each_once(town, accepted.json()["id"], 5)


def test_the_bucket_is_away_when_the_results_are_due(town: Town) -> None:
    """A batch whose jobs have ended waits for the bucket, and completes when it is back."""
    mark = uuid.uuid4().hex
    town.faults(refuse_submit={"match": mark, "status": 422})
    seaweed, sweep = town.stack.seaweed.process, town.stack.processes["worker.sweep"]
    sweep.kill()  # nothing is expanded before the bucket is away
    accepted = send(town, batch(2, mark), uuid.uuid4().hex)
    assert accepted.status_code == 202, accepted.text
    batch_id = accepted.json()["id"]
    seaweed.kill()
    try:
        sweep.start()
        sweep.wait_ready()
        town.eventually(lambda: _field(town, batch_id, "tries") != "", RECOVERY)
        assert show(town, batch_id)["status"] == "running"
        assert show(town, batch_id)["counts"]["failed"] == 2
    finally:
        seaweed.start()
        seaweed.wait_ready()
        town.faults()

    found = lines(town, completes(town, batch_id))
    assert [line["status"] for line in found] == ["failed"] * 2


def _field(town: Town, batch_id: str, name: str) -> str:
    with town.stack.redis() as client:
        fields: Any = client
        return str(fields.hget(f"batch:{batch_id}", name) or "")
