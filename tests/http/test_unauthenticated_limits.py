"""What may come before a key is bounded: in bytes, lines, seconds and connections."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from core.settings.settings import Settings
from service.app import create_app
from service.http.drain import Drain
from service.server.server import Server
from stack.stack import Stack
from tests.conftest import Eventually
from tests.http.conftest import OwnService, RunService
from tests.http.raw_http import Wire, ask, head, whole

LARGEST = 64 * 1024
#: Longer than any test, and so short that a test can wait for it.
NEVER, SOON = "3600", "0.3"
MEGABYTE = 1024 * 1024


def check(raw: bytes, status: int, kind: str) -> None:
    """Look at the one answer, and last, on a connection."""
    answer = whole(raw)
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert json.loads(answer.body)["type"] == f"urn:fluxrelay:problem:{kind}"


def padded(size: int) -> bytes:
    """Return a request's head of so many bytes, as they are counted."""
    plain = head("GET", "/livez", "x-pad: ")
    # Neither the method, the version and the line's end of the first line count, nor the last.
    counted = len("/livez") + len("host: x\r\n") + len("x-pad: \r\n")
    return plain.replace(b"x-pad: ", b"x-pad: " + b"x" * (size - counted))


@pytest.mark.parametrize("piece", [1024, 4 * MEGABYTE])
def test_a_head_may_have_64_kib(relay: Stack, piece: int) -> None:
    """One byte more is a 431, whether it comes at once or in pieces."""
    for size, status in ((LARGEST - 100, 200), (LARGEST + 1, 431)):
        request = padded(size)
        with Wire.to(relay.service_url) as wire:
            wire.send(*(request[at : at + piece] for at in range(0, len(request), piece)))
            if status == 431:
                check(wire.rest(), 431, "head-too-large")
            else:
                assert wire.answer().status == status


@pytest.mark.parametrize("part", ["header", "line", "path", "name"])
def test_an_endless_head_costs_no_memory(relay: Stack, part: str) -> None:
    """Of 32 MB without an end, the answer is a 431, and the process grows by less than half."""
    starts = {
        "header": b"GET / HTTP/1.1\r\nx: ", "line": b"GET / HTTP/1.1\r\n", "path": b"GET /",
        "name": b"GET / HTTP/1.1\r\nx",
    }  # fmt: skip
    piece = b"x: x\r\n" * 10_000 if part == "line" else b"x" * 60_000
    memory = psutil.Process(relay.processes["service"].pid).memory_info
    before = memory().rss

    with Wire.to(relay.service_url) as wire:
        wire.send(starts[part], *[piece] * (32 * MEGABYTE // len(piece)))
        check(wire.rest(), 431, "head-too-large")

    assert memory().rss - before < 16 * MEGABYTE


@pytest.mark.parametrize(("lines", "status"), [(199, 200), (200, 431), (5000, 431)])
def test_a_head_may_have_200_lines(relay: Stack, lines: int, status: int) -> None:
    """Host is one of them."""
    request = head("GET", "/livez", *[f"x-{number}: x" for number in range(lines)])
    with Wire.to(relay.service_url) as wire:
        wire.send(request)
        answer = wire.answer()
    assert answer.status == status


def test_what_follows_a_body_is_bounded_as_well(relay: Stack) -> None:
    """Endless lines behind the last piece of a body end the connection."""
    start = head("POST", "/v1/jobs", f"x-key: {relay.api_key}", "transfer-encoding: chunked")
    with Wire.to(relay.service_url) as wire:
        wire.send(start, b"2\r\n{}\r\n0\r\n", *[b"x: x\r\n" * 10_000] * 20)
        check(wire.rest(), 431, "head-too-large")


@pytest.fixture(scope="module")
def impatient(own_service: RunService) -> Iterator[OwnService]:
    """Run a service whose limits of time can be waited for."""
    with own_service(
        FLUXRELAY_HEAD_SECONDS=SOON,
        FLUXRELAY_BODY_SECONDS=SOON,
        FLUXRELAY_KEEPALIVE_SECONDS="1",
    ) as service:
        yield service


@pytest.mark.parametrize("part", [b"G", b"GET /livez HTTP/1.1\r\nhost", b"\r\n"])
def test_a_head_that_does_not_end_is_answered(impatient: OwnService, part: bytes) -> None:
    """408, as the first request of a connection and as a later one."""
    with Wire.to(impatient.url) as wire:
        wire.send(part)
        check(wire.rest(), 408, "too-slow")
    with Wire.to(impatient.url) as wire:
        wire.send(head("GET", "/livez"))
        assert wire.answer().status == 200
        wire.send(part)
        check(wire.rest(), 408, "too-slow")


@pytest.mark.parametrize("sent", [b"", b"{"])
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/flux-pro-1.1"])
def test_a_small_body_that_does_not_end_is_answered(
    impatient: OwnService, relay: Stack, path: str, sent: bytes
) -> None:
    """408 in the format of the API that was called."""
    with Wire.to(impatient.url) as wire:
        wire.send(head("POST", path, f"x-key: {relay.api_key}", "content-length: 100") + sent)
        raw = wire.rest()
    if path == "/v1/jobs":
        check(raw, 408, "too-slow")
    else:
        answer = whole(raw)
        assert answer.status == 408
        assert list(json.loads(answer.body)) == ["detail"]


def test_silent_connections_end(impatient: OwnService) -> None:
    """One that never spoke ends after the time for idle ones, as one that spoke once."""
    with Wire.to(impatient.url) as wire:
        assert wire.rest() == b""
    with Wire.to(impatient.url) as wire:
        wire.send(head("GET", "/livez"))
        assert wire.answer().status == 200
        assert wire.rest() == b""


def test_idle_connections_outlive_those_of_usual_proxies(service_settings: Settings) -> None:
    """Proxies keep them for 60 s; the service does for 75 s, unless it is told otherwise."""
    server = Server(create_app(service_settings), service_settings, Drain())

    assert server.config.timeout_keep_alive == 75


def test_half_heads_take_nobody_s_place(own_service: RunService, eventually: Eventually) -> None:
    """With 40 places, 300 half heads, whose time is long, hold none of them: the oldest go."""
    with (
        own_service(FLUXRELAY_MAX_CONNECTIONS="40", FLUXRELAY_HEAD_SECONDS=NEVER) as service,
        ExitStack() as stack,
    ):
        held = [stack.enter_context(Wire.to(service.url)) for _ in range(300)]
        for wire in held:
            with_error = wire.socket.send(b"GET /livez HT") if alive(wire) else 0
            assert with_error in (0, 13)
        for path in ("/livez", "/readyz", "/v1/models"):
            assert ask(service.url, head("GET", path)).status in (200, 401)
        eventually(lambda: sum(alive(wire) for wire in held) <= 40)
        assert alive(held[-1])
        eventually(lambda: '"connections.full"' in service.process.output())


def test_health_checks_have_places_of_their_own(own_service: RunService, relay: Stack) -> None:
    """While every place is taken by a request, others are told to come later; /livez is not."""
    key = f"x-key: {relay.api_key}"
    start = head("POST", "/v1/jobs", key, "content-length: 2", "expect: 100-continue")
    with (
        own_service(FLUXRELAY_MAX_CONNECTIONS="4", FLUXRELAY_BODY_SECONDS=NEVER) as service,
        ExitStack() as stack,
    ):
        busy = [stack.enter_context(Wire.to(service.url)) for _ in range(4)]
        for wire in busy:
            wire.send(start)
            assert wire.answer().status == 100
        assert ask(service.url, head("GET", "/livez")).status == 200
        refused = ask(service.url, head("GET", "/v1/models"))
        assert refused.status == 503
        assert json.loads(refused.body)["type"] == "urn:fluxrelay:problem:busy"
        assert ask(service.url, head("GET", "/readyz")).status == 200
        for wire in busy:
            wire.send(b"{}")
            assert wire.answer().status == 422
        assert ask(service.url, head("GET", "/v1/models")).status != 503


def alive(wire: Wire) -> bool:
    """Say whether the other side has not ended a connection."""
    wire.socket.setblocking(False)
    try:
        return wire.socket.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        wire.socket.settimeout(20)
