"""A connection is used again only if the server sent one answer to one request."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from core.text_values import Secret
from worker.network.guarded_http import guarded_client, open_client

Make = Callable[[], httpx.Client]
_BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"
_OWN = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown"
_STRAY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray"


class Receiver:
    """Keeps connections open, and answers the first request with `first`, all others with `_OWN`.

    Args:
        first: What it sends in one piece.
    """

    def __init__(self, first: bytes) -> None:
        self.connections = 0
        self.requests = 0
        self._first = first
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listening.shutdown(socket.SHUT_RDWR)
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
            while self._read_head(connection):
                self.requests += 1
                connection.sendall(self._first if self.requests == 1 else _OWN)

    @staticmethod
    def _read_head(connection: socket.socket) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            try:
                more = connection.recv(65_536)
            except OSError:
                return False
            if not more:
                return False
            head += more
        return True


@pytest.fixture
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    """Run a receiver whose first answer the test names."""
    made = Receiver(request.param)
    yield made
    made.close()


def _timeout() -> httpx.Timeout:
    return httpx.Timeout(10)


@pytest.fixture(params=["guarded", "open", "proxied"])
def client(
    request: pytest.FixtureRequest, receiver: Receiver, ssl_context: ssl.SSLContext
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
    client: httpx.Client, receiver: Receiver
) -> None:
    """The connection is closed, and the next request gets its own answer on a new one."""
    url = f"http://{receiver.address}/"

    first, second = client.get(url), client.get(url)

    assert first.text == "no"
    assert second.text == "own"
    assert (receiver.connections, receiver.requests) == (2, 2)


@pytest.mark.parametrize("receiver", [_BUSY, _CHUNKED], ids=["length", "chunks"], indirect=True)
def test_a_clean_connection_is_used_again(client: httpx.Client, receiver: Receiver) -> None:
    """Opening a connection for each request would cost a round trip, with TLS two or three."""
    url = f"http://{receiver.address}/"

    assert [client.get(url).text for _ in range(3)] == ["no", "own", "own"]
    assert receiver.connections == 1
