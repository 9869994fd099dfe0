"""Requests that come one behind the other, of which the last is not valid."""

import asyncio
import json
import re
from contextlib import ExitStack

import psutil
import pytest

from stack.stack import Stack
from tests.http.gated_server import gated
from tests.http.raw_http import Answer, Wire, head, whole

LIVE = head("GET", "/livez")
#: Requests of one connection: one that is being answered, and those that wait.
ALLOWED = 101
JOB = json.dumps({"model": "flux-pro-1.1", "input": {"prompt": "p", "width": 256}}).encode()
BAD = {
    "header name": (b"GET /x HTTP/1.1\r\nhost : a\r\n\r\n", 400),
    "no HTTP": (b"\x00\x01\x02 no HTTP\r\n\r\n", 400),
    "no host": (b"GET /x HTTP/1.1\r\n\r\n", 400),
    "two lengths": (head("POST", "/x", "content-length: 1", "content-length: 2"), 400),
    "coding": (head("POST", "/x", "transfer-encoding: gzip"), 501),
    "tunnel": (head("CONNECT", "a:443"), 400),
    "too many lines": (head("GET", "/x", *[f"x-{n}: 1" for n in range(300)]), 431),
    "chunk size": (head("POST", "/v1/jobs", "transfer-encoding: chunked") + b"0x1\r\n", 400),
    "version": (b"GET /x HTTP/2.0\r\nhost: a\r\n\r\n", 505),
}


def _answers(relay: Stack, raw: bytes, count: int) -> list[Answer]:
    """Return so many answers, the last of which ends the connection."""
    with Wire.to(relay.service_url) as wire:
        wire.send(raw)
        good = [wire.answer() for _ in range(count - 1)]
        return [*good, whole(wire.rest())]


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("good", [1, 3])
def test_the_good_ones_are_answered_and_then_the_bad_one(
    relay: Stack, name: str, good: int
) -> None:
    """Each gets its own answer, in order; the last is a problem document and ends all."""
    raw, status = BAD[name]

    answers = _answers(relay, LIVE * good + raw, good + 1)

    assert [answer.status for answer in answers] == [*[200] * good, status]
    assert ["connection" in answer.headers for answer in answers] == [*[False] * good, True]
    last = answers[-1]
    assert last.headers["content-type"] == "application/problem+json"
    assert json.loads(last.body)["status"] == status


def test_a_job_before_a_bad_request_is_answered_with_its_id(relay: Stack) -> None:
    """It is accepted, so its caller must learn of it."""
    lines = (f"x-key: {relay.api_key}", f"content-length: {len(JOB)}")
    raw = head("POST", "/v1/jobs", *lines) + JOB + BAD["header name"][0]

    accepted, bad = _answers(relay, raw, 2)

    assert (accepted.status, bad.status) == (202, 400)
    assert json.loads(accepted.body)["status"] in {"queued", "submitting"}


def test_what_follows_a_bad_request_is_not_read(relay: Stack) -> None:
    """Where it begins is in doubt."""
    answers = _answers(relay, LIVE + BAD["header name"][0] + LIVE, 2)

    assert [answer.status for answer in answers] == [200, 400]


@pytest.mark.parametrize("ends", [False, True], ids=["client waits", "client ends its side"])
@pytest.mark.parametrize("bad", ["header name", "coding", "chunk size"])
def test_a_bad_request_waits_for_the_answers_before_it(bad: str, *, ends: bool) -> None:
    """Also if it is refused before the first answer begins."""

    async def run() -> tuple[bytes, list[str]]:
        async with gated() as app, app.client() as (reader, writer):
            good = head("POST", "/a", "content-length: 2") + b"{}" + head("GET", "/b")
            writer.write(good + BAD[bad][0])
            if ends:
                writer.write_eof()
                await app.ended.wait()
            app.gate.set()
            return await reader.read(), app.taken

    raw, taken = asyncio.run(run())

    answers = [part.partition(b"\r\n\r\n") for part in re.split(rb"HTTP/1.1 (?=\d{3} )", raw)[1:]]
    assert taken == ["/a", "/b"]
    assert [(top[:3], body) for top, _, body in answers[:2]] == [(b"200", b"/a"), (b"200", b"/b")]
    assert answers[2][0].startswith(b"%d " % BAD[bad][1])
    assert len(answers) == 3


def test_a_client_that_sends_on_and_on_is_told_to_read() -> None:
    """One request is being answered and 100 wait; the next is a 429, after the answers of these."""

    async def run(count: int) -> tuple[bytes, list[str]]:
        async with gated() as app, app.client() as (reader, writer):
            writer.write(b"".join(head("GET", f"/{number}") for number in range(count)))
            if count > ALLOWED:
                await app.refused.wait()
            else:
                writer.write_eof()
            app.gate.set()
            return await reader.read(), app.taken

    for count in (ALLOWED, ALLOWED + 1, 8 * ALLOWED):
        raw, taken = asyncio.run(run(count))

        statuses = re.findall(rb"HTTP/1.1 (\d{3}) ", raw)
        assert taken == [f"/{number}" for number in range(ALLOWED)]
        assert statuses == [b"200"] * ALLOWED + [b"429"] * (count > ALLOWED)
        if count > ALLOWED:
            assert json.loads(raw.rpartition(b"\r\n\r\n")[2])["type"].endswith("too-many-pipelined")


def test_answers_that_nobody_reads_cost_no_memory(relay: Stack) -> None:
    """Requests are sent by the thousand, in one piece, and not one answer is read."""
    memory = psutil.Process(relay.processes["service"].pid).memory_info
    before = memory().rss

    with ExitStack() as wires:
        for _ in range(8):
            wire = wires.enter_context(Wire.to(relay.service_url))
            wire.send(head("GET", "/openapi.json") * 8_000)
        with Wire.to(relay.service_url) as other:
            other.send(LIVE)
            assert other.answer().status == 200

    assert memory().rss - before < 48 * 1024 * 1024


def test_nothing_follows_an_answer_after_which_the_client_wants_to_close() -> None:
    """`Connection: close` makes a request the last one, so what follows is no request."""

    async def run() -> bytes:
        async with gated() as app, app.client() as (reader, writer):
            writer.write(head("GET", "/a", "connection: close") + BAD["header name"][0])
            app.gate.set()
            return await reader.read()

    answer = whole(asyncio.run(run()))
    assert (answer.status, answer.body) == (200, b"/a")


def _with_trailer(trailer: str, *lines: str) -> bytes:
    """Return a request for a job in one chunk, with a trailer."""
    start = head("POST", "/v1/jobs", "transfer-encoding: chunked", *lines)
    return start + b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(JOB), JOB, trailer.encode())


@pytest.mark.parametrize("name", ["x-key", "X-Key", "authorization"])
def test_a_key_in_a_trailer_is_no_key(relay: Stack, name: str) -> None:
    """A proxy checks and removes headers; what comes behind the body is none (RFC 9110, 6.5.1)."""
    value = f"Bearer {relay.api_key}" if name == "authorization" else relay.api_key
    with Wire.to(relay.service_url) as wire:
        wire.send(_with_trailer(f"{name}: {value}"))
        assert wire.answer().status == 401


@pytest.mark.parametrize(
    "trailer",
    ["x-key: wrong", "host: b", "content-encoding: gzip", "idempotency-key: é", "x-sum: 1"],
)
def test_a_trailer_changes_nothing(relay: Stack, trailer: str) -> None:
    """Nor does a trailer with a header's name spoil the request, or the next one."""
    raw = _with_trailer(trailer, f"x-key: {relay.api_key}")
    with Wire.to(relay.service_url) as wire:
        wire.send(raw + raw + LIVE)
        assert [wire.answer().status for _ in range(3)] == [202, 202, 200]


def test_a_trailer_that_closes_is_heeded(relay: Stack) -> None:
    """The parser reads nothing behind it, so the client must learn that it is the end."""
    raw = _with_trailer("connection: close", f"x-key: {relay.api_key}")
    with Wire.to(relay.service_url) as wire:
        wire.send(raw + LIVE)
        answer = whole(wire.rest())
    assert (answer.status, answer.headers["connection"]) == (202, "close")
