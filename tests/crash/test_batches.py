"""Batches, while the service or a worker dies at every line: all or nothing, and each item once."""

import base64
import io
import json
import time
import uuid
from typing import Any

import httpx
import pytest
from PIL import Image

from core.jobs.status import Step
from stack.stack import Stack
from tests.crash.conftest import CrashingProcesses
from tests.crash.crash_point import file_of
from tests.crash.kill_at_every_line import EveryLine, kill_at_every_line, started, stopped
from tests.e2e.conftest import Customer

#: Those that touch what outlives the process; what reads and checks keeps all in files without a
#: name.
_INTAKE = (
    "service/api/batches/endpoints.py",
    "service/batches/intake.py",
    "service/batches/staging.py",
    "core/batches/plans.py",
    "core/redis/async_store.py",
    "core/redis/async_scripts.py",
)
_WITH_FILES = ("service/batches/staging.py", "core/storage/object_store.py")
_LINES = "application/x-ndjson"
_SIZE = {"width": 256, "height": 256}
_ITEMS = 2


def _texts() -> bytes:
    items = [
        {"custom_id": f"{n}", "model": "flux-pro-1.1", "input": {"prompt": f"{n}", **_SIZE}}
        for n in range(_ITEMS)
    ]
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def _images() -> bytes:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(picture, "PNG")
    image = base64.b64encode(picture.getvalue()).decode()
    defaults = {"model": "flux-kontext-pro", "input": {"input_image": image}}
    items = [{"custom_id": f"{n}", "input": {"prompt": f"{n}"}} for n in range(_ITEMS)]
    whole = [{"defaults": defaults}, *items]
    return b"".join(json.dumps(one).encode() + b"\n" for one in whole)


class _Caller:
    """Posts batches to a service that may die of it."""

    def __init__(self, customer: Customer) -> None:
        headers = {"authorization": f"Bearer {customer.stack.api_key}", "content-type": _LINES}
        self._http = httpx.Client(
            base_url=customer.stack.service_url,
            headers=headers,
            # Each request on a connection of its own: one that is kept may have died meanwhile.
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=60,
            trust_env=False,
        )

    def post(self, key: str, body: bytes) -> str | None:
        """POST a batch; return its id, None if the service died."""
        try:
            answer = self._http.post("/v1/batches", content=body, headers={"idempotency-key": key})
        except httpx.TransportError:
            return None
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _completed(customer: Customer, batch_id: str) -> dict[str, Any]:
    """Wait until a batch has completed; return it."""
    found: dict[str, Any] = {}

    def ended() -> bool:
        answer = customer.http.get(f"/v1/batches/{batch_id}")
        found.update(answer.json() if answer.is_success else {})
        return found.get("status") == "completed"

    customer.eventually(ended, 90)
    return found


def _judge(customer: Customer, batch_ids: list[str], status: str = "succeeded") -> None:
    """Check that each batch has its file, with one job of a status per item, each its own."""
    jobs: list[str] = []
    for batch_id in batch_ids:
        told = _completed(customer, batch_id)["results"]
        s3 = customer.stack.s3()
        body = s3.get_object(Bucket=told["bucket"], Key=told["key"])["Body"].read()
        lines = [json.loads(line) for line in body.splitlines()]
        assert [line["custom_id"] for line in lines] == [f"{n}" for n in range(_ITEMS)]
        assert {line["status"] for line in lines} == {status}
        jobs += [line["job_id"] for line in lines]
    assert len(set(jobs)) == len(batch_ids) * _ITEMS


def _batches(stack: Stack) -> set[str]:
    with stack.redis() as redis:
        return {str(one) for one in redis.zrange("batches:demo", 0, -1)}


@pytest.mark.parametrize(
    ("body", "files"), [(_texts(), _INTAKE), (_images(), _WITH_FILES)], ids=["text", "image"]
)
def test_intake_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses, body: bytes, files: tuple[str, ...]
) -> None:
    """Wherever it dies, nothing half is seen, and the same request brings exactly one batch."""
    mark, before = uuid.uuid4().hex, _batches(customer.stack)
    stopped(customer, "service")
    service = crashing.service(customer.stack, "/v1/batches", *files)
    caller = _Caller(customer)
    answers: list[str | None] = []
    every = EveryLine(service)
    for number, life in enumerate(every):
        life.order()
        if number:  # what died before is repeated
            again = caller.post(f"{mark}-{number - 1}", body)
            assert answers[-1] in (None, again)
            answers[-1] = again
        answers.append(caller.post(f"{mark}-{number}", body))
        life.ends()
    service.end()
    caller.close()
    started(customer, "service")

    batches = [str(one) for one in answers]
    assert len(set(batches)) == len(answers)
    assert _batches(customer.stack) - before == set(batches)
    _judge(customer, batches)
    _nothing_is_left(customer)
    assert every.files == set(files)


def _nothing_is_left(customer: Customer) -> None:
    """Let the guards' hour pass at once; then no input and no accepted item is left."""
    redis, s3 = customer.stack.redis(), customer.stack.s3()
    due = [str(member) for member in redis.zrange("due", 0, -1)]
    guarded = [member for member in due if member.startswith("cleanup:")]
    if guarded:
        redis.zadd("due", dict.fromkeys(guarded, time.time()))
    bucket = customer.stack.bucket
    customer.eventually(
        lambda: s3.list_objects_v2(Bucket=bucket, Prefix="_inputs/")["KeyCount"] == 0, 60
    )
    assert redis.get("staged") == "0"
    staged = list(redis.scan_iter("batch:*:staged"))
    assert all(redis.ttl(key) > 0 for key in staged)


def test_results_survive_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """Wherever the worker dies, the batch completes with one results file."""
    faults = f"{customer.stack.sandbox_url}/sandbox/faults"
    # Jobs that are refused need no collect worker.
    refusal = {"refuse_submit": {"match": "", "status": 422}}
    httpx.post(faults, json=refusal, trust_env=False, timeout=60).raise_for_status()
    stopped(customer, "worker.collect")
    worker = crashing(customer.stack, "collect", Step.RESULTS)
    caller, redis = _Caller(customer), customer.stack.redis()

    def send(count: int) -> list[str]:
        return [str(caller.post(uuid.uuid4().hex, _texts())) for _ in range(count)]

    def waits(batch_id: str) -> bool:
        task = redis.hget(f"batch:{batch_id}", "task:results")
        return bool(task) and redis.lpos("rq:queue:collect", str(task)) is not None

    batches, lines = kill_at_every_line(customer, worker, waits, send)
    caller.close()
    started(customer, "worker.collect")

    _judge(customer, batches, "failed")
    httpx.delete(faults, trust_env=False, timeout=60).raise_for_status()
    assert len(lines) > 60
    assert "worker/steps/batches.py" in set(map(file_of, lines))
