"""The same Idempotency-Key and body are the same job, however often and at whatever time."""

import base64
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import redis

from stack.stack import Stack
from tests.http.conftest import Caller, NothingTakenIn, Rotating, SandboxDesk, Traces

BODY = {
    "model": "flux-pro-1.1",
    "input": {"prompt": "only once", "width": 256, "height": 256},
    "metadata": {"a": 1, "b": {"c": 2, "d": 3}},
}
MakeCaller = Callable[[str, str | None], Caller]
Jobs = Callable[[], set[str]]


@pytest.fixture
def jobs(redis_of: "redis.Redis") -> Jobs:
    """Return a function that lists the keys of all jobs."""
    return lambda: {str(key) for key in redis_of.scan_iter("job:*", count=1000)}


def reordered(value: object) -> object:
    """Return equal JSON with every object's fields in the opposite order."""
    if not isinstance(value, dict):
        return value
    return {name: reordered(value[name]) for name in reversed(value)}


def job_id_of(answer: httpx.Response) -> str:
    """Return the id of an accepted job; its `Location` must name the same."""
    assert answer.status_code == 202, answer.text
    job_id = str(answer.json()["id"])
    assert answer.headers["location"] == f"/v1/jobs/{job_id}"
    return job_id


def test_same_key_and_body(api: Caller, sandbox: SandboxDesk, traces: Traces) -> None:
    """A repetition brings the first job, says so, and makes and pays for nothing new."""
    key = str(uuid.uuid4())
    first = api.post(BODY, idempotency=key)
    job_id = job_id_of(first)
    api.ended(job_id)
    before = traces()
    spaced = json.dumps(reordered(BODY), indent=3).encode()
    assert spaced != json.dumps(BODY).encode()
    for content in (json.dumps(BODY).encode(), spaced):
        again = api.post(content=content, idempotency=key)
        assert job_id_of(again) == job_id
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json()["status"] == "succeeded"
    assert "idempotency-replayed" not in first.headers
    assert traces() == before
    assert len(sandbox.tasks(job_id)) == 1


def test_other_body(api: Caller, nothing_taken_in: NothingTakenIn) -> None:
    """The same key with another body is refused with 422, and the first job stays what it was."""
    key = str(uuid.uuid4())
    job_id = job_id_of(api.post(BODY, idempotency=key))
    with nothing_taken_in():
        answer = api.post({**BODY, "priority": 1}, idempotency=key)
    assert answer.status_code == 422
    document = answer.json()
    assert document["type"] == "urn:fluxrelay:problem:idempotency-conflict"
    assert document["errors"][0]["field"] == "Idempotency-Key"
    assert "new key" in document["errors"][0]["fix"]
    assert job_id_of(api.post(BODY, idempotency=key)) == job_id


def test_no_key_or_another(api: Caller) -> None:
    """Without a key, or with another one, the same body is another job."""
    key = str(uuid.uuid4())
    ids = [job_id_of(api.post(BODY, idempotency=each)) for each in (None, None, key, key + "-2")]
    assert len(set(ids)) == 4


def test_key_of_another_tenant(
    api: Caller, rotating: Rotating, relay: Stack, callers: MakeCaller
) -> None:
    """The same key of another tenant is another job; of the same tenant elsewhere it is not."""
    key = str(uuid.uuid4())
    job_id = job_id_of(api.post(BODY, idempotency=key))
    own = callers(rotating.url, relay.api_key).post(BODY, idempotency=key)
    other = callers(rotating.url, rotating.other_key).post(BODY, idempotency=key)
    assert job_id_of(own) == job_id
    assert job_id_of(other) != job_id


@pytest.mark.parametrize("key", ["", "k" * 256, "tab\there"])
def test_unusable_key(api: Caller, nothing_taken_in: NothingTakenIn, key: str) -> None:
    """A key that cannot be used is refused with 400, and no job appears."""
    with nothing_taken_in():
        answer = api.post(BODY, idempotency=key)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    (field_error,) = answer.json()["errors"]
    assert field_error["field"] == "Idempotency-Key"
    assert "255" in field_error["allowed"]


def test_longest_key(api: Caller) -> None:
    """A key of 255 characters can be used."""
    key = (uuid.uuid4().hex * 8)[:255]
    assert job_id_of(api.post(BODY, idempotency=key)) == job_id_of(api.post(BODY, idempotency=key))


def test_bad_body_uses_up_no_key(api: Caller) -> None:
    """A key that came with a bad body may come again with a good one."""
    key = str(uuid.uuid4())
    assert api.post({"model": "nothing"}, idempotency=key).status_code == 422
    job_id_of(api.post(BODY, idempotency=key))


def test_at_the_same_time(api: Caller, sandbox: SandboxDesk, picture: bytes, jobs: Jobs) -> None:
    """Twenty posts with one key, all at once, make one job and one task at the provider.

    An image goes to S3 between the look at the key and the job: all of them are in between then.
    """
    key, before = str(uuid.uuid4()), jobs()
    image = base64.b64encode(picture).decode()
    body = {"model": "flux-kontext-pro", "input": {"prompt": "at once", "input_image": image}}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: api.post(body, idempotency=key), range(20)))
    (job_id,) = {job_id_of(answer) for answer in answers}
    fresh = [answer for answer in answers if "idempotency-replayed" not in answer.headers]
    assert len(fresh) == 1
    assert jobs() - before == {f"job:{job_id}"}
    assert api.ended(job_id)["status"] == "succeeded"
    assert len(sandbox.tasks(job_id)) == 1


@pytest.mark.parametrize(("second", "status"), [("one", 202), ("two", 400), ("", 400)])
@pytest.mark.parametrize(
    ("path", "body"), [("/v1/jobs", BODY), ("/v1/flux-pro-1.1", BODY["input"])]
)
def test_of_two_keys_neither_is_guessed_at(
    relay: Stack, path: str, body: dict[str, object], second: str, status: int
) -> None:
    """Two that are the same are one; a proxy may have doubled the line."""
    first = f"one {path}"
    second = second.replace("one", first)
    keys = [("x-key", relay.api_key), ("idempotency-key", first), ("idempotency-key", second)]

    answer = httpx.post(
        relay.service_url + path, json=body, headers=keys, timeout=60, trust_env=False
    )

    accepted = 202 if path == "/v1/jobs" else 200
    assert answer.status_code == (status if status == 400 else accepted)
    assert ("more than once" in answer.text) == (status == 400)
