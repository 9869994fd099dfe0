"""Secrets and signatures, compared with the library that receivers use."""

import base64
import json
import random
import re
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from core.security.signatures import (
    callback_secret,
    is_sample_signature,
    is_webhook_secret,
    sample_signature,
    sign_callback,
    webhook_secret,
)
from tests.doc_pages import blocks, page

MASTERS = ["new-master-" * 4, "old-master-" * 4]
RANDOM = random.Random(20_260_919)  # noqa: S311 - a table that is the same on each run
TABLE = [
    (
        "".join(RANDOM.choices("äbc-_.😀 ", k=RANDOM.randint(0, 60))),
        "msg_" + "".join(RANDOM.choices("0123456789abcdef-", k=36)),
        RANDOM.randrange(2**31),
        json.dumps({"n": RANDOM.random(), "t": "€" * RANDOM.randint(0, 99)}, ensure_ascii=False),
    )
    for _ in range(50)
]


@pytest.mark.parametrize(("master", "message_id", "timestamp", "body"), TABLE)
def test_a_signature_is_the_library_s(
    master: str, message_id: str, timestamp: int, body: str
) -> None:
    """Header for header it is byte for byte what the reference library signs."""
    secret = callback_secret(master, "demo")

    ours = sign_callback([secret], message_id, timestamp, body.encode())

    moment = datetime.fromtimestamp(timestamp, UTC)
    assert ours == Webhook(secret).sign(message_id, moment, body)


def test_the_callback_that_the_page_prints_is_signed() -> None:
    """Whoever tries a verification of their own with it must succeed with the right one."""
    text = page("docs/api/callbacks.md")
    (example,) = blocks(text, "http")
    head, _, body = example.rstrip().partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines())
    (secret,) = re.findall(r'^\{"secret": "([^"]+)"', text, re.MULTILINE)
    message_id, moment = headers["webhook-id"], int(headers["webhook-timestamp"])

    made = sign_callback([secret], message_id, moment, body.encode())

    assert made == headers["webhook-signature"]
    assert json.loads(body)["type"] == "callback.test"


@pytest.mark.parametrize("master", MASTERS)
def test_while_rotating_both_secrets_verify(master: str) -> None:
    """A receiver that holds either secret accepts the callback; one that holds neither does not."""
    secrets = [callback_secret(each, "demo") for each in MASTERS]
    now, body = int(time.time()), b'{"type": "job.succeeded"}'
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign_callback(secrets, "msg_1", now, body),
    }

    assert headers["webhook-signature"].count("v1,") == 2
    assert Webhook(callback_secret(master, "demo")).verify(body, headers) == json.loads(body)
    with pytest.raises(WebhookVerificationError):
        Webhook(callback_secret(master, "other")).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(callback_secret(master, "demo")).verify(body + b" ", headers)


def test_a_callback_secret_is_as_the_specification_wants_it() -> None:
    """It is `whsec_` and base64 of 24 to 64 bytes, one per tenant and master."""
    secrets = {callback_secret(master, tenant) for master in MASTERS for tenant in ("a", "b")}

    assert len(secrets) == 4
    for secret in secrets:
        assert secret.startswith("whsec_")
        assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64


def test_secrets_are_of_their_job_and_of_their_kind() -> None:
    """Jobs, masters and the two kinds of secrets have nothing in common."""
    made = {webhook_secret(master, job) for master in MASTERS for job in ("1", "2", "a")}
    callback = base64.b64decode(callback_secret(MASTERS[0], "a").removeprefix("whsec_")).hex()

    assert len(made) == 6
    assert callback not in made
    assert all(len(secret) == 64 and secret.isascii() for secret in made)


@pytest.mark.parametrize("master", MASTERS)
def test_a_webhook_may_come_with_either_master(master: str) -> None:
    """While rotating, the secrets of both masters open the job."""
    assert is_webhook_secret(MASTERS, "job-1", webhook_secret(master, "job-1").encode())


GOOD = webhook_secret(MASTERS[0], "job-1").encode()


@pytest.mark.parametrize(
    "presented",
    [
        b"",
        b" ",
        GOOD[:-1],
        GOOD[1:],
        GOOD + b"0",
        GOOD + b" ",
        b" " + GOOD,
        GOOD.upper(),
        GOOD[::-1],
        GOOD + b"," + GOOD,
        "ä".encode() + GOOD[2:],
        b"\xff" * 64,
        b"\x00" * 64,
        webhook_secret(MASTERS[0], "job-2").encode(),
        webhook_secret("another-master", "job-1").encode(),
        MASTERS[0].encode(),
    ],
)
def test_nothing_else_opens_a_job(presented: bytes) -> None:
    """Missing, cut, padded, foreign and non-ASCII secrets are refused without an error."""
    assert not is_webhook_secret(MASTERS, "job-1", presented)


def test_without_masters_nothing_is_open() -> None:
    """No master, no secret."""
    assert not is_webhook_secret([], "job-1", b"")


@pytest.mark.parametrize("master", MASTERS)
def test_a_link_is_signed_for_one_job(master: str) -> None:
    """A link's signature holds for its job under every master, and is no other secret of it."""
    signature = sample_signature(master, "job-1").encode()

    assert is_sample_signature(MASTERS, "job-1", signature)
    assert not is_sample_signature(MASTERS, "job-2", signature)
    assert not is_sample_signature(["a-third-master-" * 3], "job-1", signature)
    assert not is_sample_signature(MASTERS, "job-1", webhook_secret(master, "job-1").encode())
    assert not is_webhook_secret(MASTERS, "job-1", signature)
