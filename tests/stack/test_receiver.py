"""The receiver of callbacks keeps what it gets, checks signatures and answers as scripted."""

import json
import socket
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from stack.receiver import Answer, CallbackReceiver

SECRET = "whsec_c2l4dGVlbi1ieXRlcy1vci1tb3JlLW9mLWl0"
OTHER_SECRET = "whsec_YW5vdGhlci1zZWNyZXQtb2YtYW5vdGhlci1rZXk="
BODY = json.dumps({"type": "job.succeeded", "data": {"id": "1"}}).encode()


def _signed(body: bytes, *, sent: datetime | None = None) -> dict[str, str]:
    sent = sent or datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(sent.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", sent, body.decode()),
    }


def _post(
    receiver: CallbackReceiver, headers: dict[str, str] | None = None, *, timeout: float = 5
) -> int:
    with httpx.Client(trust_env=False, timeout=timeout) as client:
        return client.post(receiver.url + "/a", content=BODY, headers=headers).status_code


def test_a_callback_is_kept_as_it_came(receiver: CallbackReceiver) -> None:
    """Path, headers and the body's bytes are there for the test to look at."""
    assert _post(receiver, {"X-Thing": "Value"}) == 204
    (callback,) = receiver.callbacks
    assert callback.path == "/callbacks/a"
    assert callback.headers["x-thing"] == "Value"
    assert callback.body == BODY
    assert callback.answered == 204


def test_a_callback_that_was_cut_off_is_none(receiver: CallbackReceiver) -> None:
    """A sender that dies in the middle of a body has sent no callback, and gets no answer."""
    address = urlsplit(receiver.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as sender:
        sender.sendall(b"POST /callbacks/a HTTP/1.1\r\ncontent-length: 10\r\n\r\n{")
        sender.shutdown(socket.SHUT_WR)
        assert sender.recv(1024) == b""
    assert not receiver.callbacks


def test_a_right_signature_is_verified(receiver: CallbackReceiver) -> None:
    """A callback signed with the secret verifies and gives its parsed body."""
    _post(receiver, _signed(BODY))
    assert receiver.callbacks[0].verify(SECRET) == json.loads(BODY)


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        (_signed(b"another body"), SECRET),
        (_signed(BODY), OTHER_SECRET),
        (_signed(BODY, sent=datetime.now(UTC) - timedelta(hours=1)), SECRET),
        ({}, SECRET),
    ],
    ids=["other body", "other secret", "too old", "no headers"],
)
def test_a_wrong_signature_is_rejected(
    receiver: CallbackReceiver, headers: dict[str, str], secret: str
) -> None:
    """A callback that is not what the holder of the secret signed just now does not verify."""
    _post(receiver, headers)
    with pytest.raises(WebhookVerificationError):
        receiver.callbacks[0].verify(secret)


def test_callbacks_may_be_verified_as_they_come(receiver: CallbackReceiver) -> None:
    """With a secret to trust, a callback keeps its payload if, and only if, it was signed."""
    receiver.trust(SECRET)
    _post(receiver, _signed(BODY))
    _post(receiver, {})

    assert [callback.payload for callback in receiver.callbacks] == [json.loads(BODY), None]


def test_answers_follow_the_script(receiver: CallbackReceiver) -> None:
    """The next callbacks are answered one by one as scripted, later ones like the last word."""
    receiver.script(Answer(503), Answer(410), then=Answer(202))
    assert [_post(receiver) for _ in range(4)] == [503, 410, 202, 202]
    assert [callback.answered for callback in receiver.callbacks] == [503, 410, 202, 202]


def test_an_answer_can_be_late(receiver: CallbackReceiver) -> None:
    """A delayed answer runs into the caller's time limit, and the callback is kept all the same."""
    receiver.script(Answer(204, delay_seconds=60))
    with pytest.raises(httpx.ReadTimeout):
        _post(receiver, timeout=0.2)
    assert len(receiver.callbacks) == 1


def test_a_connection_can_be_closed_without_an_answer(receiver: CallbackReceiver) -> None:
    """The caller sees the connection end before a status line."""
    receiver.script(Answer(None))
    with pytest.raises(httpx.RemoteProtocolError):
        _post(receiver)


def test_a_receiver_that_is_down_refuses_and_comes_back(receiver: CallbackReceiver) -> None:
    """Down means refused connections; up again means the same URL."""
    receiver.go_down()
    with pytest.raises(httpx.ConnectError):
        _post(receiver)
    receiver.come_up()
    assert _post(receiver) == 204


def test_waiting_returns_the_wanted_callbacks(receiver: CallbackReceiver) -> None:
    """Only callbacks that match are counted and returned."""
    _post(receiver, {"x-n": "1"})
    _post(receiver, {"x-n": "2"})
    (found,) = receiver.wait_for(lambda it: it.headers["x-n"] == "2", timeout_seconds=5)
    assert found.headers["x-n"] == "2"


def test_waiting_in_vain_ends_with_an_error(receiver: CallbackReceiver) -> None:
    """The error says how many came."""
    _post(receiver)
    with pytest.raises(TimeoutError, match="1 of 2 callbacks"):
        receiver.wait_for(lambda _: True, count=2, timeout_seconds=0.05)
