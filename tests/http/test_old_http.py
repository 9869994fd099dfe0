"""Clients of HTTP/1.0, which some proxies still speak to those behind them."""

from collections.abc import Iterator

import pytest

from core.jobs.status import Status
from core.redis.store import JobStore
from core.settings.settings import Settings
from stack.servers.ports import Ports
from tests.conftest import Eventually
from tests.contract.jobs import accept
from tests.http.raw_http import Answer, Wire
from tests.http.served_app import KEY, Served, served
from tests.http.test_waiting import A, fail


@pytest.fixture
def relay_app(
    store: JobStore, service_settings: Settings, ports: Ports, eventually: Eventually
) -> Iterator[Served]:
    """Run a service beside the store of the test; no worker runs."""
    del store  # it has emptied Redis
    with served(service_settings, ports, eventually) as running:
        yield running


def asked(app: Served, line: str, *headers: str) -> Wire:
    """Return the connection on which a request of HTTP/1.0 was sent."""
    wire = Wire.to(app.url)
    wire.send("\r\n".join([f"{line} HTTP/1.0", f"x-key: {KEY}", *headers, "", ""]).encode())
    return wire


def answer_of(wire: Wire) -> Answer:
    """Return all that came until the service ended the connection."""
    head, _, body = wire.rest().partition(b"\r\n\r\n")
    return Answer(head, body)


@pytest.mark.parametrize("headers", [(), ("host: x", "connection: keep-alive")])
def test_a_stream_of_a_job_has_no_chunks(
    relay_app: Served, store: JobStore, headers: tuple[str, ...]
) -> None:
    """Their sizes would be lines of the events (RFC 9112 section 6.1); it ends the connection."""
    accept(store, A)
    with asked(relay_app, f"GET /v1/jobs/{A}/events", *headers) as wire:
        relay_app.waits(1)
        assert store.move(A, Status.GENERATING)
        relay_app.eventually(lambda: relay_app.hub.waiting == 1)
        fail(store, A)
        answer = answer_of(wire)

    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert not {"transfer-encoding", "content-length"} & answer.headers.keys()
    blocks = answer.body.decode().split("\n\n")
    assert (blocks[0], blocks[-1]) == ("retry: 2000", "")
    events = [block.split("\n")[1] for block in blocks[1:-1]]
    assert (events[0], events[-1]) == ("event: job.submitting", "event: job.failed")
    assert all(block.startswith("id: ") for block in blocks[1:-1])


def test_the_stream_of_all_jobs_comes_as_it_happens(relay_app: Served, store: JobStore) -> None:
    """Its beginning and each event are there at once, without chunks, though it has no end."""
    with asked(relay_app, "GET /v1/events", "host: x") as wire:
        relay_app.waits(1)
        accept(store, A)
        came = b""
        while b"event: job.submitting" not in came:
            came += wire.socket.recv(65_536)
    begin = came.partition(b"\r\n\r\n")[2]
    assert begin.startswith(b"retry: 2000\nid: ")
    assert b"\r" not in begin
    relay_app.waits(0)


@pytest.mark.parametrize(
    ("line", "status", "length"),
    [
        ("GET /v1/jobs", 200, True),
        (f"HEAD /v1/jobs/{A}/events", 200, False),
        ("GET /v1/nothing/there", 404, True),
        ("GET /openapi.json", 200, True),
    ],
)
def test_other_answers_state_their_length(
    relay_app: Served, store: JobStore, line: str, status: int, length: bool
) -> None:
    """They end with their connection, whatever the client would like."""
    accept(store, A)
    with asked(relay_app, line, "host: x", "connection: keep-alive") as wire:
        answer = answer_of(wire)
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert "transfer-encoding" not in answer.headers
    if length:
        assert int(answer.headers["content-length"]) == len(answer.body) > 0
    else:
        assert answer.body == b""
