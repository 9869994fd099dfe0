"""A webhook is believed only with its own job's secret; without it nothing changes."""

import hmac
import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
import redis

from core.security.signatures import webhook_secret
from stack.stack import Stack
from tests.http.conftest import Caller, NothingTakenIn, Rotating, SandboxDesk

HEADER = "x-webhook-secret"
READY = {"id": "task-1", "status": "Ready", "result": {"sample": "http://127.0.0.1:9/never"}}
UNKNOWN_JOB = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def queued(api: Caller, full_house: None) -> str:
    """Return a job that waits for a slot, whose record therefore stays as it is."""
    del full_house  # it is what makes the job wait
    return api.create("waits for a slot")


@pytest.fixture
def record(redis_of: "redis.Redis") -> Callable[[str], dict[str, str]]:
    """Return a function that reads a job's whole record."""
    client: Any = redis_of

    def read(job_id: str) -> dict[str, str]:
        return dict(client.hgetall(f"job:{job_id}"))

    return read


def send(
    url: str, job_id: str, headers: dict[str, str | bytes], body: object = READY
) -> httpx.Response:
    """POST a webhook."""
    raw = [
        (name.encode(), value.encode() if isinstance(value, str) else value)
        for name, value in headers.items()
    ]
    path = f"{url}/webhooks/bfl/{job_id}"
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.post(path, content=content, headers=raw)


def check_refused(answer: httpx.Response) -> None:
    """Check that the secret was refused, with a problem document that gives nothing away."""
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:fluxrelay:problem:wrong-webhook-secret"


@pytest.mark.parametrize(
    "forgery",
    ["missing", "empty", "wrong", "short", "upper", "longer", "master", "other job", "callback"],
)
def test_forged_secret(
    relay: Stack,
    queued: str,
    record: Callable[[str], dict[str, str]],
    forgery: str,
) -> None:
    """A secret that is not this job's is answered with 401, and the record stays as it was."""
    master = relay.credentials.webhook_secret
    right = webhook_secret(master, queued)
    forged = {
        "empty": "",
        "wrong": "0" * 64,
        "short": right[:-1],
        "upper": right.upper(),
        "longer": right + "0",
        "master": master,
        "other job": webhook_secret(master, UNKNOWN_JOB),
        "callback": hmac.new(master.encode(), f"callback:{queued}".encode(), sha256).hexdigest(),
    }
    headers: dict[str, str | bytes] = {} if forgery == "missing" else {HEADER: forged[forgery]}
    before = record(queued)
    check_refused(send(relay.service_url, queued, headers))
    assert record(queued) == before
    assert before["status"] == "queued"


@pytest.mark.parametrize("secret", [b"\xff\xfe\x80", "gehe\u00efm".encode(), "\u202e".encode()])
def test_secret_beyond_ascii(
    relay: Stack, queued: str, record: Callable[[str], dict[str, str]], secret: bytes
) -> None:
    """A secret of any bytes is refused like any other wrong one."""
    before = record(queued)
    check_refused(send(relay.service_url, queued, {HEADER: secret}))
    assert record(queued) == before


def test_unknown_jobs(relay: Stack, nothing_taken_in: NothingTakenIn) -> None:
    """A forger cannot tell jobs from none; who knows the secret of none is acknowledged."""
    with nothing_taken_in():
        check_refused(send(relay.service_url, UNKNOWN_JOB, {HEADER: "0" * 64}))
        right = webhook_secret(relay.credentials.webhook_secret, UNKNOWN_JOB)
        answer = send(relay.service_url, UNKNOWN_JOB, {HEADER: right})
    assert answer.status_code == 200
    assert answer.json() == {"status": "ignored"}


def test_two_masters(
    api: Caller, rotating: Rotating, relay: Stack, sandbox: SandboxDesk, queued: str
) -> None:
    """While the master is rotated secrets of the new and of the old one open the job."""
    page = sandbox.result()
    body = {"id": page["id"], "status": "Ready", "result": {"sample": page["sample_url"]}}
    check_refused(send(rotating.url, queued, {HEADER: webhook_secret("some other", queued)}, body))
    other = api.create("waits for a slot, too")
    for master, job_id in ((rotating.new_master, queued), (rotating.old_master, other)):
        answer = send(rotating.url, job_id, {HEADER: webhook_secret(master, job_id)}, body)
        assert answer.json() == {"status": "received"}
        assert api.ended(job_id)["image"]["sha256"] == page["sha256"]
    # A service that does not know the new master yet, or has dropped it, refuses it.
    unknown = webhook_secret(rotating.new_master, queued)
    check_refused(send(relay.service_url, queued, {HEADER: unknown}))


@pytest.mark.parametrize("signature", ["sha256=" + "0" * 64, "", b"\xff", "nonsense"])
def test_wrong_signature(
    relay: Stack,
    queued: str,
    record: Callable[[str], dict[str, str]],
    signature: str | bytes,
) -> None:
    """Where a signature of the body comes too, it must be right; it never replaces the secret."""
    secret = webhook_secret(relay.credentials.webhook_secret, queued)
    before = record(queued)
    headers: dict[str, str | bytes] = {HEADER: secret, "x-bfl-signature": signature}
    answer = send(relay.service_url, queued, headers)
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:fluxrelay:problem:wrong-webhook-signature"
    assert record(queued) == before


def test_right_signature(relay: Stack, queued: str) -> None:
    """The right signature is taken with the secret, and refused without it."""
    secret = webhook_secret(relay.credentials.webhook_secret, queued)
    content = json.dumps({"id": "task-1", "status": "Pending"}).encode()
    signature = "sha256=" + hmac.new(secret.encode(), content, sha256).hexdigest()
    check_refused(send(relay.service_url, queued, {"x-bfl-signature": signature}, content))
    both: dict[str, str | bytes] = {HEADER: secret, "x-bfl-signature": signature}
    assert send(relay.service_url, queued, both, content).status_code == 200


def test_large_body(relay: Stack, queued: str, record: Callable[[str], dict[str, str]]) -> None:
    """More than 1 MiB is refused with 413, as a stream as well; exactly 1 MiB is read."""
    secret = webhook_secret(relay.credentials.webhook_secret, queued)
    before = record(queued)
    url = f"{relay.service_url}/webhooks/bfl/{queued}"
    content = json.dumps({"id": "task-1", "status": "Pending"}).encode().ljust(1024 * 1024)

    def pieces() -> Iterator[bytes]:
        yield content
        yield b" "

    with httpx.Client(trust_env=False, timeout=60, headers={HEADER: secret}) as client:
        for too_much in (content + b" ", pieces()):
            answer = client.post(url, content=too_much)
            assert answer.status_code == 413
            assert answer.headers["content-type"] == "application/problem+json"
        assert record(queued) == before
        assert client.post(url, content=content).status_code == 200
