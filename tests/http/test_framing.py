"""A request whose host or whose end is not beyond doubt is refused before anybody acts on it."""

import asyncio
import json

import pytest

from stack.stack import Stack
from tests.http.conftest import NothingTakenIn
from tests.http.gated_server import gated
from tests.http.raw_http import Answer, Wire, ask, head, whole

JOB = json.dumps({"model": "flux-pro-1.1", "input": {"prompt": "p", "width": 256}}).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(JOB), JOB)


def request(relay: Stack, *headers: str, host: str = "host: x\r\n", version: str = "1.1") -> bytes:
    """Return the head of a request that would bring a job."""
    lines = "".join(f"{line}\r\n" for line in (f"x-key: {relay.api_key}", *headers))
    return f"POST /v1/jobs HTTP/{version}\r\n{host}{lines}\r\n".encode()


def refused(relay: Stack, raw: bytes) -> Answer:
    """Return the one answer that ends the connection, a problem document."""
    with Wire.to(relay.service_url) as wire:
        wire.send(raw)
        answer = whole(wire.rest())
    assert answer.headers["connection"] == "close"
    assert answer.headers["content-type"] == "application/problem+json"
    return answer


@pytest.mark.parametrize(
    "host",
    ["", "host: a\r\nhost: b\r\n", "host: a\r\nHOST: a\r\n", "hosts: a\r\nx-host: a\r\n"],
    ids=["none", "two", "the same twice", "others"],
)
def test_one_host_must_be_named(relay: Stack, nothing_taken_in: NothingTakenIn, host: str) -> None:
    """Links are made from it, so none, or two, are a 400 that says so (RFC 9112 section 3.2)."""
    with nothing_taken_in():
        raw = request(relay, f"content-length: {len(JOB)}", host=host) + JOB
        answer = refused(relay, raw)
    assert answer.status == 400
    assert "Host" in json.loads(answer.body)["detail"]


@pytest.mark.parametrize(("hosts", "status"), [(0, 202), (1, 202), (2, 400)])
def test_http_1_0_needs_no_host(relay: Stack, hosts: int, status: int) -> None:
    """It had none yet; two are wrong there as well."""
    lines, length = "host: x\r\n" * hosts, f"content-length: {len(JOB)}"
    answer = ask(relay.service_url, request(relay, length, host=lines, version="1.0") + JOB)
    assert answer.status == status


@pytest.mark.parametrize(
    "coding",
    ["gzip, chunked", "identity, chunked", "gzip,chunked", "gzip", "xchunked"],
)
def test_no_coding_but_chunked_is_read(
    relay: Stack, nothing_taken_in: NothingTakenIn, coding: str
) -> None:
    """501 that says so (RFC 9112 section 6.1), whatever the body looks like."""
    with nothing_taken_in():
        answer = refused(relay, request(relay, f"transfer-encoding: {coding}") + CHUNKED)
    assert answer.status == 501
    document = json.loads(answer.body)
    assert document["type"] == "urn:fluxrelay:problem:transfer-encoding"
    assert "chunked" in document["detail"]


def test_chunked_twice_is_a_mistake(relay: Stack) -> None:
    """A sender must not do that (RFC 9112 section 6.1)."""
    assert refused(relay, request(relay, "transfer-encoding: chunked, chunked")).status == 400


def test_two_lines_of_codings_are_two_codings(relay: Stack) -> None:
    """A proxy that looks at one of them alone would see another end of the body."""
    lines = ("transfer-encoding: gzip", "transfer-encoding: chunked")
    assert refused(relay, request(relay, *lines) + CHUNKED).status == 501


@pytest.mark.parametrize("coding", ["chunked", "Chunked", " chunked "])
def test_chunked_is_read(relay: Stack, coding: str) -> None:
    """In small letters and large."""
    answer = ask(relay.service_url, request(relay, f"transfer-encoding:{coding}") + CHUNKED)
    assert answer.status == 202


@pytest.mark.parametrize("coding", ["chunked", "gzip, chunked"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_body_has_one_end(
    relay: Stack, nothing_taken_in: NothingTakenIn, coding: str, order: int
) -> None:
    """Its length and its coding may contradict each other, so both together are a 400."""
    lines = [f"transfer-encoding: {coding}", f"content-length: {len(CHUNKED)}"][::order]
    with nothing_taken_in():
        assert refused(relay, request(relay, *lines) + CHUNKED).status == 400


@pytest.mark.parametrize(("version", "first"), [("1.1", 100), ("1.0", 202)])
def test_who_speaks_http_1_0_is_not_asked_for_its_body(
    relay: Stack, version: str, first: int
) -> None:
    """It knows no 100 and would take it for the answer (RFC 9110 section 10.1.1)."""
    lines = ("expect: 100-continue", f"content-length: {len(JOB)}")
    raw = request(relay, *lines, version=version)
    with Wire.to(relay.service_url) as wire:
        wire.send(raw)
        if first == 100:
            assert wire.answer().status == 100
        wire.send(JOB)
        assert wire.answer().status == 202


def test_a_refusal_is_given_once(relay: Stack) -> None:
    """Though what follows in the same piece is no HTTP either."""
    many = [f"x-{number}: x" for number in range(300)]
    raw = request(relay, *many, "transfer-encoding: chunked") + b"no size\r\n"
    assert refused(relay, raw).status == 431
    raw = request(relay, "transfer-encoding: chunked", host="") + b"no size\r\n"
    assert refused(relay, raw).status == 400


@pytest.mark.parametrize(
    "second",
    [b"GET /b HTTP/1.1\r\n\r\n", b"no HTTP\r\n\r\n", b"GET /b HTTP/1.1\r\nhost: x\r\nx\r\n\r\n"],
    ids=["no host", "no HTTP", "no header"],
)
def test_a_bad_request_takes_nobody_s_answer(second: bytes) -> None:
    """Behind a whole request, that one is answered first, then the bad one, as the last."""

    async def run() -> bytes:
        async with gated() as app, app.client() as (reader, writer):
            writer.write(head("POST", "/a", "content-length: 2") + b"{}" + second)
            writer.write_eof()
            await app.ended.wait()
            app.gate.set()
            return await reader.read()

    first, _, last = asyncio.run(run()).partition(b"\r\n\r\n/a")
    assert first.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" not in first
    answer = whole(last)
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.2"])
def test_an_offer_of_another_protocol_is_passed_over(relay: Stack, protocol: str) -> None:
    """`Upgrade` is answered as HTTP/1.1 (RFC 9110 section 7.8), and so is what follows."""
    offer = ("connection: Upgrade, HTTP2-Settings", "http2-settings: AAMAAABk")
    with Wire.to(relay.service_url) as wire:
        for lines in ((*offer, f"upgrade: {protocol}"), ()):
            wire.send(head("GET", "/livez", *lines))
            answer = wire.answer()
            assert answer.head.startswith(b"HTTP/1.1 200 OK")
            assert "upgrade" not in answer.headers


@pytest.mark.parametrize("way", ["length", "chunked"])
@pytest.mark.parametrize("cut", [0, 10, 200], ids=["at once", "two pieces", "later"])
def test_an_offer_of_another_protocol_costs_no_body(relay: Stack, way: str, cut: int) -> None:
    """A job that comes with `Upgrade: h2c`, as Java's client has it, is taken in; so is a next."""
    stated = f"content-length: {len(JOB)}" if way == "length" else "transfer-encoding: chunked"
    offer = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABk")
    raw = request(relay, *offer, stated) + (JOB if way == "length" else CHUNKED)
    with Wire.to(relay.service_url) as wire:
        for _ in range(2):
            wire.send(raw[:-cut] if cut else raw, raw[-cut:] if cut else b"")
            assert wire.answer().status == 202


def test_requests_behind_an_offer_of_another_protocol_are_answered(relay: Stack) -> None:
    """Though they come in the same piece."""
    offer = head("GET", "/livez", "connection: upgrade", "upgrade: h2c")
    with Wire.to(relay.service_url) as wire:
        wire.send(offer + head("GET", "/nowhere") + offer)
        assert [wire.answer().status for _ in range(3)] == [200, 404, 200]


def test_no_tunnel_is_opened(relay: Stack) -> None:
    """`CONNECT` is a 400, once."""
    raw = b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n"
    assert refused(relay, raw).status == 400
