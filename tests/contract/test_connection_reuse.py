"""A connection is used again only if the server sent one answer to one request."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain, repeat

import httpx
import pytest

from core.text_values import Secret
from tests.contract.socket_server import SocketServer, requests
from worker.network.guarded_http import guarded_client, open_client

_BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"
_OWN = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown"
_STRAY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"


@pytest.fixture
def receiver(request: pytest.FixtureRequest) -> Iterator[SocketServer]:
    """Run a server that keeps connections open; what it sends at first, in one piece, is named."""
    answers = chain([request.param], repeat(_OWN))

    def serve(connection: socket.socket) -> None:
        for _ in requests(connection, b"\r\n\r\n"):
            connection.sendall(next(answers))

    made = SocketServer(serve)
    yield made
    made.close()


def _timeout() -> httpx.Timeout:
    return httpx.Timeout(10)


@pytest.fixture(params=["guarded", "open", "proxied"])
def client(
    request: pytest.FixtureRequest, receiver: SocketServer, ssl_context: ssl.SSLContext
) -> Iterator[httpx.Client]:
    """Return each kind of client that workers have; a proxy is the receiver itself."""
    with ExitStack() as stack:
        if request.param == "guarded":
            made = guarded_client(
                timeout=_timeout(),
                connections=2,
                ssl_context=ssl_context,
                trusted_hosts=["127.0.0.1"],
            )
        else:
            proxy = Secret(f"http://{receiver.address}") if request.param == "proxied" else None
            made = open_client(
                timeout=_timeout(), connections=2, ssl_context=ssl_context, proxy=proxy
            )
        yield stack.enter_context(made)


@pytest.mark.parametrize(
    "receiver",
    [
        pytest.param(_BUSY + _STRAY, id="second answer"),
        pytest.param(_CHUNKED + _STRAY, id="second answer behind chunks"),
        pytest.param(_BUSY + _STRAY[:9], id="half an answer"),
        pytest.param(_BUSY + b"\r\nnoise", id="noise"),
        pytest.param(_BUSY + b"o", id="body longer than stated"),
    ],
    indirect=True,
)
def test_bytes_behind_an_answer_are_never_the_next_one(
    client: httpx.Client, receiver: SocketServer
) -> None:
    """The connection is closed, and the next request gets its own answer on a new one."""
    url = f"http://{receiver.address}/"

    first, second = client.get(url), client.get(url)

    assert first.text == "no"
    assert second.text == "own"
    assert receiver.connections == 2


@pytest.mark.parametrize("receiver", [_BUSY, _CHUNKED], ids=["length", "chunks"], indirect=True)
def test_a_clean_connection_is_used_again(client: httpx.Client, receiver: SocketServer) -> None:
    """Opening a connection for each request would cost a round trip, with TLS two or three."""
    url = f"http://{receiver.address}/"

    assert [client.get(url).text for _ in range(3)] == ["no", "own", "own"]
    assert receiver.connections == 1
