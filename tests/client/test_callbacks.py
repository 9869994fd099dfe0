"""Callbacks and dead letters, by both clients."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from fluxrelay import CallbackVerificationError, FluxRelay, verify_callback
from stack.receiver import CallbackReceiver
from tests.client.conftest import MakeClient
from tests.client.scripted_service import JOB, ScriptedService, says
from tests.client.test_jobs import made

OLD, NEW, FOREIGN = (f"whsec_{letter * 32}" for letter in "abc")


def signed(secret: str, body: bytes) -> dict[str, str]:
    """Return the headers of a callback that was signed just now."""
    at = datetime.now(UTC)
    signature = Webhook(secret).sign("msg_1", at, body.decode())
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": signature,
    }


BODY = json.dumps(
    {"type": "job.queued", "timestamp": "2026-11-21T16:25:01.903000+00:00", "data": JOB}
).encode()


def test_a_callback_of_the_service_is_verified(
    client: FluxRelay, receiver: CallbackReceiver
) -> None:
    """A real callback gives its job; with one byte changed it is refused."""
    job = made(client, callback=receiver.url)
    (received,) = receiver.wait_for(lambda _: True, timeout_seconds=60)

    callback = client.callbacks.verify(received.body, received.headers)

    assert (callback.id, callback.type) == (f"msg_{job.id}", "job.succeeded")
    assert callback.job is not None
    assert (callback.job.id, callback.job.succeeded) == (job.id, True)
    assert callback.batch is None
    with pytest.raises(CallbackVerificationError):
        client.callbacks.verify(received.body + b" ", received.headers)
    secret = client.callbacks.secret()
    assert verify_callback(received.body, received.headers, secret.secret) == callback
    assert secret.secret not in repr(secret)


def test_the_secret_is_fetched_once(scripted: FluxRelay, service: ScriptedService) -> None:
    """However many callbacks and forgeries come, the secret is asked for once."""
    service.says(says(200, {"secret": NEW, "previous": [OLD]}))

    for secret in (NEW, OLD):
        assert scripted.callbacks.verify(BODY, signed(secret, BODY)).id == "msg_1"
        with pytest.raises(CallbackVerificationError):
            scripted.callbacks.verify(BODY, signed(FOREIGN, BODY))

    assert [request.target for request in service.requests] == ["/v1/callback-secret"]


def test_a_given_secret_is_not_fetched(make_client: MakeClient, service: ScriptedService) -> None:
    """A client that was given the secret verifies without the service."""
    client = make_client(service.url, "a-key", callback_secret=NEW)

    assert client.callbacks.verify(BODY, signed(NEW, BODY)).type == "job.queued"
    assert service.requests == []


@pytest.mark.parametrize(
    ("body", "change"),
    [
        (BODY, {"webhook-id": "msg_2"}),
        (BODY, {"webhook-timestamp": "1795278301"}),
        (BODY, {"webhook-timestamp": "soon"}),
        (BODY, {"webhook-signature": "v1"}),
        (BODY, {"webhook-signature": "v1,no base64"}),
        (BODY, {"webhook-signature": ""}),
        (b"\xff", {}),
    ],
)
def test_a_forgery_is_refused(body: bytes, change: dict[str, str]) -> None:
    """Whatever is wrong with a callback, there is one error for it."""
    headers = {name.lower(): value for name, value in signed(NEW, BODY).items()} | change

    with pytest.raises(CallbackVerificationError):
        verify_callback(body, headers, NEW)


def test_a_signed_body_that_is_no_callback_is_refused() -> None:
    """A signature alone does not make a callback."""
    for body in (b"[]", b"no JSON", b"{}"):
        with pytest.raises(CallbackVerificationError):
            verify_callback(body, signed(NEW, body), NEW)


def test_a_secret_must_be_one() -> None:
    """A secret that cannot be one is the receiver's mistake, not a forgery."""
    for secret in ("", "whsec_", "whsec_\xe4"):
        with pytest.raises(ValueError, match="no secret"):
            verify_callback(BODY, signed(NEW, BODY), secret)


def test_dead_letters_are_listed_and_dismissed(
    client: FluxRelay, faults: Callable[..., None]
) -> None:
    """A failed job is listed, on whichever page, until it is dismissed."""
    mark = uuid.uuid4().hex
    faults(refuse_submit={"match": mark, "status": 422})
    job = client.jobs.wait(made(client, mark))

    page = client.dead_letters.list(kind="job", code="provider_rejected", limit=100)
    found = [
        one for one in client.dead_letters.iterate(limit=1) if one.job and one.job.id == job.id
    ]

    assert page.items
    assert [(letter.kind, letter.job, letter.batch) for letter in found] == [("job", job, None)]
    assert found[0].at == job.ended_at
    client.dead_letters.dismiss("job", job)
    assert job.id not in {one.job.id for one in client.dead_letters.iterate() if one.job}
