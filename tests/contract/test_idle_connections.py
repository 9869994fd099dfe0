"""Connections are used again, unless the other side may be about to close them."""

import socket
import ssl
import threading
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from core.text_values import Secret
from worker.clients.callbacks import CallbackClient, Delivery
from worker.clients.provider import ProviderClient
from worker.clients.submit_outcomes import Accepted
from worker.network import guarded_http

TAKEN = b'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"id":"t"}'


class Lasting:
    """Answers any number of requests on each connection, and counts the connections."""

    def __init__(self) -> None:
        self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(10)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            request = b""
            while data := connection.recv(65_536):
                request += data
                if request.endswith(b"}"):
                    connection.sendall(TAKEN)
                    request = b""


@pytest.fixture
def lasting() -> Iterator[Lasting]:
    """Run such a server."""
    server = Lasting()
    yield server
    server.close()


@pytest.mark.parametrize(("longest", "connections"), [(60.0, 1), (0.0, 2)])
def test_a_connection_is_used_again_only_for_a_while(
    *,
    lasting: Lasting,
    ssl_context: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    longest: float,
    connections: int,
) -> None:
    """One that was idle for longer may be closed just as a submit is written to it."""
    monkeypatch.setattr(guarded_http, "KEEPALIVE", longest)
    client = ProviderClient(
        lasting.url,
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
    lasting: Lasting,
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
        assert client.post(lasting.url, b"{}", {}) == Delivery(status=200)
        client._deadline.at = 0.0  # noqa: SLF001 - as if the attempt had been long ago

    assert lasting.connections == connections
    client._client.close()  # noqa: SLF001 - its sockets are closed at exit
