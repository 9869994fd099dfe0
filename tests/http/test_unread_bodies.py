"""Who sends its whole body before it reads is answered, whether the body was wanted or not."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from stack.stack import Stack
from tests.http.conftest import SMALL_BODY, Caller, Rotating
from tests.http.raw_http import Answer, Wire, chunked, head, whole

#: Larger than what the kernel holds of it on the way, so that it must be read.
SIZE = 5 * 1024 * 1024
#: What is read on after an answer, at most; and a body that is larger.
LARGEST_REST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Refused:
    """A request that is refused before its body is read, and how."""

    name: str
    path: str
    status: int
    kind: str | None
    #: Sent with it; KEY and HOOK stand for those that are right.
    header: str = "x-nothing: x"


REFUSED = [
    Refused("no secret", "/webhooks/bfl/some-job", 401, "wrong-webhook-secret"),
    Refused("bad secret", "/webhooks/bfl/x", 401, "wrong-webhook-secret", "x-webhook-secret: no"),
    Refused("unknown path", "/nowhere", 404, "not-found"),
    Refused("no key", "/v1/jobs", 401, "missing-key"),
    Refused("wrong key", "/v1/jobs", 401, "wrong-key", "authorization: Bearer no"),
    Refused("method", "/v1/models", 405, "method-not-allowed"),
    Refused("drop-in, no key", "/v1/flux-pro-1.1", 403, None),
    Refused("drop-in, unknown model", "/v1/flux-nothing", 404, "not-found", "x-key: KEY"),
]


def pieces(size: int) -> Iterable[bytes]:
    """Yield a body in pieces."""
    for at in range(0, size, 65536):
        yield b"x" * min(65536, size - at)


def send_then_read(url: str, start: bytes, body: Iterable[bytes]) -> Answer:
    """Return the answer to a request that is sent to its end before anything is read."""
    with Wire.to(url) as wire:
        wire.send(start, *body)
        return whole(wire.rest())


def check(answer: Answer, status: int, kind: str | None) -> None:
    """Look at an answer that leaves its request's body unread."""
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    document = json.loads(answer.body)
    if kind is None:
        assert list(document) == ["detail"]
    else:
        assert document["type"] == f"urn:fluxrelay:problem:{kind}"


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
@pytest.mark.parametrize("way", ["stated", "chunked"])
def test_a_refusal_can_be_read_after_the_whole_body_was_sent(
    relay: Stack, case: Refused, way: str
) -> None:
    """5 MB go through without a break, then the whole answer comes, then a clean end."""
    stated = f"content-length: {SIZE}" if way == "stated" else "transfer-encoding: chunked"
    start = head("POST", case.path, case.header.replace("KEY", relay.api_key), stated)
    body = pieces(SIZE) if way == "stated" else chunked(pieces(SIZE))

    check(send_then_read(relay.service_url, start, body), case.status, case.kind)


@pytest.mark.parametrize("way", ["stated", "chunked"])
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/flux-pro-1.1"])
def test_a_body_over_the_limit_is_told_so(rotating: Rotating, way: str, path: str) -> None:
    """413 by the stated length, and where the limit is passed, on both APIs."""
    stated = f"content-length: {SIZE}" if way == "stated" else "transfer-encoding: chunked"
    start = head("POST", path, f"x-key: {rotating.other_key}", stated)
    body = pieces(SIZE) if way == "stated" else chunked(pieces(SIZE))

    answer = send_then_read(rotating.url, start, body)

    kind = "body-too-large" if path == "/v1/jobs" else None
    check(answer, 413, kind)
    assert str(SMALL_BODY).encode() in answer.body


def test_a_body_that_is_no_http_is_told_so(relay: Stack) -> None:
    """What cannot be read as HTTP is a 400 with a problem document, however much follows."""
    start = head("POST", "/v1/jobs", "transfer-encoding: chunked")

    answer = send_then_read(relay.service_url, start, [b"no size\r\n", *pieces(SIZE)])

    assert answer.status in (400, 401)  # the key is missing as well, and may be seen first
    assert answer.headers["connection"] == "close"
    assert "urn:fluxrelay:problem:" in answer.body.decode()


def test_reading_on_has_an_end(relay: Stack) -> None:
    """Who goes on sending for ever is cut off, and the answer came before."""
    start = head("POST", "/v1/jobs", "transfer-encoding: chunked")
    with Wire.to(relay.service_url) as wire:
        wire.send(start)
        assert wire.answer().status == 401
        with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
            wire.send(*pieces(2 * LARGEST_REST))


def test_a_client_that_waits_to_be_asked_for_its_body_is_refused_without_it(relay: Stack) -> None:
    """`Expect: 100-continue` with a wrong key: the refusal, and the end."""
    expecting = head("POST", "/v1/jobs", "expect: 100-continue", f"content-length: {SIZE}")
    with Wire.to(relay.service_url) as wire:
        wire.send(expecting)
        check(whole(wire.rest()), 401, "missing-key")


def test_a_body_that_was_read_keeps_the_connection(relay: Stack, api: Caller) -> None:
    """Good and bad jobs, one after the other, on one connection."""
    job = json.dumps({"model": "flux-pro-1.1", "input": {"prompt": "p", "width": 256}}).encode()
    key = f"x-key: {relay.api_key}"
    with Wire.to(relay.service_url) as wire:
        for body, status in ((job, 202), (b"{}", 422), (b"no", 400), (job, 202)):
            wire.send(head("POST", "/v1/jobs", key, f"content-length: {len(body)}") + body)
            answer = wire.answer()
            assert answer.status == status
            assert "connection" not in answer.headers
    assert api.get("/livez").status_code == 200
