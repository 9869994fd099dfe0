"""The lines behind a chunked body, its trailers, belong to no request's head and cost nothing."""

import json

import psutil

from stack.stack import Stack
from tests.http.raw_http import Wire, head

JOB = json.dumps({"model": "flux-pro-1.1", "input": {"prompt": "p", "width": 256}}).encode()
MEGABYTE = 1024 * 1024


def post(*trailers: str, key: str | None = None) -> bytes:
    """Return a whole request with trailers."""
    keys = (f"x-key: {key}",) if key else ()
    behind = "".join(f"{line}\r\n" for line in trailers).encode()
    start = head("POST", "/v1/jobs", *keys, "transfer-encoding: chunked")
    return start + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(JOB), JOB, behind)


def test_a_key_behind_the_body_is_no_key(relay: Stack) -> None:
    """Also where head, body and trailers arrive in one piece."""
    with Wire.to(relay.service_url) as wire:
        wire.send(post(f"x-key: {relay.api_key}"))
        assert wire.answer().status == 401


def test_an_encoding_behind_the_body_changes_nothing(relay: Stack) -> None:
    """A trailer that would make the request another one is passed over."""
    with Wire.to(relay.service_url) as wire:
        wire.send(post("content-encoding: gzip", "expect: 100-continue", key=relay.api_key))
        assert wire.answer().status == 202


def test_the_next_request_has_its_own_head(relay: Stack) -> None:
    """What came behind one body neither joins the next request's head nor is missing there."""
    with Wire.to(relay.service_url) as wire:
        wire.send(post("x-key: wrong", key=relay.api_key), post(key=relay.api_key), post())
        assert [wire.answer().status for _ in range(3)] == [202, 202, 401]


def test_endless_trailers_leave_no_memory_behind(relay: Stack) -> None:
    """With a key or without: many such connections cost no more than one."""
    start = head("POST", "/v1/jobs", f"x-key: {relay.api_key}", "transfer-encoding: chunked")
    memory = psutil.Process(relay.processes["service"].pid).memory_info
    grown: list[int] = []
    for _ in range(2):
        before = memory().rss
        for number in range(12):
            first = start if number % 2 else start.replace(b"x-key: ", b"x-no-key: ")
            with Wire.to(relay.service_url) as wire:
                wire.send(first, b"2\r\n{}\r\n0\r\n", *[b"x: x\r\n" * 10_000] * 10)
                wire.rest()
        grown.append(memory().rss - before)
    assert grown[1] < 4 * MEGABYTE
