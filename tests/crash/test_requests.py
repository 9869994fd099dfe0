"""The service is killed at each line of handling a request, once; then it is asked again."""

import base64
import functools
import io
import random
import time
import uuid
from typing import Any

import httpx
import pytest
from PIL import Image

from sandbox.webhooks.delivery import RETRY_WAITS
from stack.stack import Stack
from tests.crash.conftest import CrashingProcesses
from tests.crash.kill_at_every_line import EveryLine, small, started, stopped
from tests.e2e.conftest import Customer, Order

# Those that touch what outlives the process. Dying in a rule, or in what reads the request (images
# wait in files without a name), is dying at the line that called it.
_STORE = ("core/redis/transitions.py", "core/redis/async_store.py", "core/redis/async_scripts.py")
_RECEIVE = ("service/api/webhooks.py", "core/operations/provider_results.py", *_STORE)
_INTAKE = ("service/api/jobs.py", "service/intake/intake.py", *_STORE)
_INTAKE_OF_IMAGES = (
    "service/intake/intake.py",
    "core/storage/object_store.py",
    "core/redis/store.py",
    *_STORE,
)


def test_receive_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """Wherever a webhook's handling dies, its repetition or the poll finishes the job."""
    # A webhook of an earlier test that still comes would be killed in place of this test's own.
    customer.eventually(lambda: not _still_coming(customer), 60)
    stopped(customer, "service")
    service = crashing.service(customer.stack, "/webhooks/", *_RECEIVE)
    batch = uuid.uuid4().hex
    caller = _Caller(customer)
    ids: list[str | None] = []
    every = EveryLine(service)
    for number, life in enumerate(every):
        life.order()
        if ids and ids[-1] is None:  # its webhook was faster than its 202, and cut that off
            ids[-1] = caller.post(f"{batch}-{number - 1}", small(number - 1))
        ids.append(caller.post(f"{batch}-{number}", small(number)))
        life.ends()
    service.end()
    caller.close()
    started(customer, "service")

    jobs = [str(job_id) for job_id in ids]
    customer.judge(customer.wait_for_end(jobs, 90))
    first, later = _deliveries(customer, jobs)
    assert sum("error" in delivery for delivery in first) == every.deaths
    assert any(delivery.get("status") == 200 for delivery in later)
    assert len(every.lines) > 80
    assert every.files == set(_RECEIVE)


def _still_coming(customer: Customer) -> list[str]:
    """Return the tasks whose webhook the provider sends again, by its ledger."""
    tasks = {task["id"]: task["deliveries"] for task in customer.ledger()["tasks"]}
    return [
        name
        for name, made in tasks.items()
        if 0 < len(made) <= len(RETRY_WAITS)
        and not any(200 <= d.get("status", 0) < 300 for d in made)
    ]


def _deliveries(
    customer: Customer, jobs: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return each job's first delivery and all later ones, by the provider's book."""
    tasks = {task["webhook_url"].rpartition("/")[2]: task for task in customer.ledger()["tasks"]}
    of_each = [tasks[job_id]["deliveries"] for job_id in jobs]
    return [made[0] for made in of_each], [again for made in of_each for again in made[1:]]


def _edit(_number: int) -> dict[str, Any]:
    """Return a job with an image that comes as base64."""
    edit = {"prompt": "edit", "input_image": _image()}
    return {"model": "flux-kontext-pro", "input": edit}


@functools.cache
def _image() -> str:
    """Return one that is so large that the service puts it into a file."""
    picture = io.BytesIO()
    noise = random.Random(0).randbytes(3 * 160 * 160)  # noqa: S311 - not a secret
    Image.frombytes("RGB", (160, 160), noise).save(picture, "PNG")
    return base64.b64encode(picture.getvalue()).decode()


class _Caller:
    """Posts jobs, and posts those that broke off again with the same key."""

    def __init__(self, customer: Customer) -> None:
        self._url = f"{customer.stack.service_url}/v1/jobs"
        self._callback = {"callback": {"url": customer.receiver.url}}
        # Each request on a connection of its own: one that is kept may have died meanwhile.
        self._http = httpx.Client(
            headers={"x-key": customer.stack.api_key},
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=60,
            trust_env=False,
        )

    def post(self, key: str, order: dict[str, Any]) -> str | None:
        """Return the job's id, None where the service died before it answered."""
        body = order | self._callback
        try:
            answer = self._http.post(self._url, json=body, headers={"idempotency-key": key})
        except httpx.TransportError:
            return None
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _records(stack: Stack) -> set[str]:
    return {str(key).removeprefix("job:") for key in stack.redis().scan_iter("job:*", 1000)}


@pytest.mark.parametrize(
    ("order", "files"),
    [(small, _INTAKE), (_edit, _INTAKE_OF_IMAGES)],
    ids=["text", "image"],
)
def test_intake_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses, order: Order, files: tuple[str, ...]
) -> None:
    """Wherever intake dies, the same request with the same key brings exactly one job."""
    batch = uuid.uuid4().hex
    before = _records(customer.stack)
    stopped(customer, "service")
    service = crashing.service(customer.stack, "/v1/jobs", *files)
    caller = _Caller(customer)
    answers: list[tuple[str | None, str | None]] = []
    every = EveryLine(service)
    for number, life in enumerate(every):
        life.order()
        if number:  # what died before is repeated
            again = caller.post(f"{batch}-{number - 1}", order(number - 1))
            answers[-1] = (answers[-1][0], again)
        answers.append((caller.post(f"{batch}-{number}", order(number)), None))
        life.ends()
    service.end()
    caller.close()
    started(customer, "service")

    jobs = [str(second or first) for first, second in answers]
    assert all(first in (None, job) for (first, _), job in zip(answers, jobs, strict=True))
    assert sum(first is None for first, _ in answers) == every.deaths
    assert _records(customer.stack) - before == set(jobs)
    assert len(set(jobs)) == len(answers)
    customer.judge(customer.wait_for_end(jobs, 90))
    _no_input_is_left(customer)
    assert len(every.lines) > 100
    assert every.files == set(files)


def _no_input_is_left(customer: Customer) -> None:
    """Let the guard's 900 s pass at once; then nothing may lie below the inputs' prefix."""
    redis = customer.stack.redis()
    due = [str(member) for member in redis.zrange("due", 0, -1)]
    guarded = [member for member in due if member.startswith("cleanup:")]
    if guarded:
        redis.zadd("due", {member: time.time() for member in guarded}, xx=True)
    s3, bucket = customer.stack.s3(), customer.stack.bucket
    customer.eventually(
        lambda: s3.list_objects_v2(Bucket=bucket, Prefix="_inputs/")["KeyCount"] == 0, 30
    )
