"""Who ends its side of the connection after a whole request is answered all the same."""

import asyncio
import json
import socket

import pytest

from stack.stack import Stack
from tests.http.conftest import Caller
from tests.http.gated_server import gated
from tests.http.raw_http import Wire, head, whole

BODY = "content-length: 2"
JOB = json.dumps({"model": "flux-pro-1.1", "input": {"prompt": "half", "width": 256}}).encode()


def post(path: str) -> bytes:
    """Return a whole request with a body."""
    return head("POST", path, BODY) + b"{}"


async def _answers(*pieces: bytes) -> tuple[list[bytes], list[str]]:
    """Return what comes back after the pieces and the end, and what the application took.

    It answers only once the end was seen.
    """
    async with gated() as app, app.client() as (reader, writer):
        writer.write(b"".join(pieces))
        writer.write_eof()
        await app.ended.wait()
        app.gate.set()
        raw = await reader.read()
        return raw.split(b"HTTP/1.1 ")[1:], app.taken


@pytest.mark.parametrize("request_", [post("/a"), head("GET", "/a")], ids=["POST", "GET"])
def test_a_whole_request_is_answered(request_: bytes) -> None:
    """The answer comes after the end was seen, says that it is the last, and the end follows."""
    answers, _ = asyncio.run(_answers(request_))

    (answer,) = answers
    assert answer.startswith(b"200 OK")
    assert b"connection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\n/a")


def test_an_answer_that_asks_to_close_is_given_as_well() -> None:
    """`Connection: close` and HTTP/1.0 change nothing about it."""
    closing = head("POST", "/a", BODY, "connection: close") + b"{}"
    old = post("/a").replace(b"HTTP/1.1", b"HTTP/1.0")
    for request in (closing, old):
        answers, _ = asyncio.run(_answers(request))
        assert [answer[-2:] for answer in answers] == [b"/a"]


@pytest.mark.parametrize("paths", [["/a", "/b"], ["/a", "/b", "/c"]], ids=["two", "three"])
def test_each_of_several_whole_requests_is_answered(paths: list[str]) -> None:
    """In their order; the last answer alone says that the connection ends."""
    answers, taken = asyncio.run(_answers(*map(post, paths)))

    assert taken == paths
    assert [answer[-2:].decode() for answer in answers] == paths
    assert [b"connection: close" in answer for answer in answers] == [
        *[False] * (len(paths) - 1),
        True,
    ]


@pytest.mark.parametrize(
    "rest",
    [b"", b"{", b"PO", b"POST /b HTTP/1.1\r\nhost: x\r\n"],
    ids=["no body", "half a body", "a word", "half a head"],
)
@pytest.mark.parametrize("paths", [["/a"], ["/a", "/b"]], ids=["one", "two"])
def test_an_unfinished_request_behind_whole_ones_is_dropped(paths: list[str], rest: bytes) -> None:
    """Those before it are answered, the last of them as the last; it reaches nobody."""
    unfinished = rest if rest[:1] == b"P" else head("POST", "/late", BODY) + rest

    answers, taken = asyncio.run(_answers(*map(post, paths), unfinished))

    assert taken == paths
    assert [answer[-2:].decode() for answer in answers] == paths
    assert b"connection: close" in answers[-1]


@pytest.mark.parametrize(
    "request_",
    [b"", b"POST", head("POST", "/a", BODY), head("POST", "/a", BODY) + b"{"],
    ids=["silence", "half a head", "no body", "half a body"],
)
def test_without_a_whole_request_the_end_is_the_end(request_: bytes) -> None:
    """Nothing is answered, and the connection is closed at once."""
    assert asyncio.run(_answers(request_)) == ([], [])


def test_an_idle_connection_is_closed() -> None:
    """One whose request was answered before it ended its side."""

    async def run() -> None:
        async with gated() as app, app.client() as (reader, writer):
            app.gate.set()
            writer.write(post("/a"))
            assert (await reader.readuntil(b"/a")).startswith(b"HTTP/1.1 200")
            writer.write_eof()
            assert await reader.read() == b""

    asyncio.run(run())


def test_who_leaves_within_a_body_is_noticed() -> None:
    """The application is told at once that the rest will not come."""

    async def run() -> None:
        async with gated() as app, app.client() as (_reader, writer):
            writer.write(head("POST", "/a", BODY) + b"{")
            writer.write_eof()
            await app.left.wait()

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/flux-pro-1.1"])
def test_a_job_whose_caller_ended_its_side_is_answered_with_its_id(
    relay: Stack, api: Caller, path: str
) -> None:
    """On both APIs; so nobody has to send a job again that was taken in."""
    body = JOB if path == "/v1/jobs" else json.dumps({"prompt": "half"}).encode()
    key = f"x-key: {relay.api_key}"
    with Wire.to(relay.service_url) as wire:
        wire.send(head("POST", path, key, f"content-length: {len(body)}") + body)
        wire.socket.shutdown(socket.SHUT_WR)
        answer = whole(wire.rest())

    assert answer.status in (200, 202)
    assert api.ended(json.loads(answer.body)["id"])["status"] == "succeeded"
