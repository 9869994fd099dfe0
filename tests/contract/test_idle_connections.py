"""Connections are used again, unless the other side may be about to close them."""

import socket
import ssl
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from core.text_values import Secret
from tests.contract.socket_server import SocketServer, requests
from worker.clients.callbacks import CallbackClient, Delivery
from worker.clients.provider import ProviderClient
from worker.clients.submit_outcomes import Accepted
from worker.network import guarded_http

TAKEN = b'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"id":"t"}'


@pytest.fixture
def lasting() -> Iterator[SocketServer]:
    """Run a server that answers any number of requests on each connection."""

    def serve(connection: socket.socket) -> None:
        for _ in requests(connection, b"}"):
            connection.sendall(TAKEN)

    server = SocketServer(serve)
    yield server
    server.close()


@pytest.mark.parametrize(("longest", "connections"), [(60.0, 1), (0.0, 2)])
def test_a_connection_is_used_again_only_for_a_while(
    *,
    lasting: SocketServer,
    ssl_context: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    longest: float,
    connections: int,
) -> None:
    """One that was idle for longer may be closed just as a submit is written to it."""
    monkeypatch.setattr(guarded_http, "KEEPALIVE", longest)
    client = ProviderClient(
        f"http://{lasting.address}",
        Secret("key"),
        timeout=5,
        lifetime=600,
        connections=2,
        ssl_context=ssl_context,
    )

    for _ in range(2):
        assert isinstance(client.submit("/v1/x", {"prompt": "p"}), Accepted)

    assert lasting.connections == connections
    client._client.close()  # noqa: SLF001 - its sockets are closed at exit


@pytest.mark.parametrize(("longest", "connections"), [(60.0, 1), (0.0, 3)])
def test_callbacks_to_one_receiver_share_a_connection(
    *,
    lasting: SocketServer,
    ssl_context: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    longest: float,
    connections: int,
) -> None:
    """Each attempt has its own time limit all the same."""
    monkeypatch.setattr(guarded_http, "KEEPALIVE", longest)
    client = CallbackClient(
        allowed=[ip_network("127.0.0.1/32")],
        timeout=5,
        connections=2,
        ssl_context=ssl_context,
    )

    for _ in range(3):
        assert client.post(f"http://{lasting.address}", b"{}", {}) == Delivery(status=200)
        client._deadline.at = 0.0  # noqa: SLF001 - as if the attempt had been long ago

    assert lasting.connections == connections
    client._client.close()  # noqa: SLF001 - its sockets are closed at exit
