"""A submit with images leaves in pieces; what breaks on the way is no doubt, and is not lost."""

import base64
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.errors import Permanent, StorageUnavailable, Transient
from core.jobs.failures import FailureCode
from core.text_values import Secret
from tests.contract.scripted_server import ScriptedServer, answer
from worker.clients.provider import ProviderClient
from worker.clients.submit_body import Source
from worker.clients.submit_outcomes import (
    Accepted,
    AccountRefused,
    Busy,
    InDoubt,
    NotSent,
    Rejected,
)

PATH = "/v1/flux-kontext-pro"
FIELDS = {"prompt": "p", "webhook_secret": "s"}
#: More than the sockets of both sides hold.
LARGE = 16_000_000
TAKEN = b'HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\n{"id":"t"}'


class HalfServer:
    """Reads a part of one request, says something, and goes.

    Args:
        say: What it says.
        enough: Says of what was received whether that is the part.
        drain: Whether it reads the rest before it goes.
    """

    def __init__(
        self, say: bytes, enough: Callable[[bytes], bool] = bool, *, drain: bool = False
    ) -> None:
        self._say = say
        self._enough = enough
        self._drain = drain
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._received = bytearray()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def received(self) -> bytes:
        """Return all that was received, once the connection has ended."""
        self._thread.join(20)
        return bytes(self._received)

    def _serve(self) -> None:
        with self._listening, contextlib.suppress(OSError):
            self._listening.settimeout(10)
            connection, _ = self._listening.accept()
            connection.settimeout(10)
            with connection:
                while not self._enough(bytes(self._received)) and self._read(connection):
                    pass
                connection.sendall(self._say)
                while self._drain and self._read(connection):
                    pass

    def _read(self, connection: socket.socket) -> bool:
        data = connection.recv(65_536)
        self._received += data
        return bool(data)


def ends(request: bytes) -> bool:
    """Say whether a request is whole: nothing but its end holds a brace."""
    return request.endswith(b"}")


@pytest.fixture
def provider_at(ssl_context: ssl.SSLContext) -> Callable[..., ProviderClient]:
    """Return a function that makes a client of a server."""

    def make(url: str, **more: Any) -> ProviderClient:
        options: dict[str, Any] = {"timeout": 5.0, "lifetime": 600, "connections": 2}
        return ProviderClient(url, Secret("key"), ssl_context=ssl_context, **options | more)

    return make


def image(size: int, fails_at: int | None = None, error: Exception | None = None) -> Source:
    """Return an image of zeros whose reading fails where told."""

    def chunks() -> Iterator[bytes]:
        for at in range(0, size, 60_000):
            if fails_at is not None and at >= fails_at:
                raise error or StorageUnavailable("S3 could not read an input: a test")
            yield bytes(min(60_000, size - at))

    return Source(size, chunks)


def test_one_request_of_a_known_length(
    provider_at: Callable[..., ProviderClient], server: ScriptedServer
) -> None:
    """Images arrive as base64 in one request that states its length; it is not chunked."""
    server.script = answer(200, b'{"id": "t", "polling_url": "https://api.example/x"}')

    outcome = provider_at(server.url).submit(PATH, FIELDS, {"a": image(100_001), "b": image(1)})

    assert isinstance(outcome, Accepted)
    (request,) = server.requests
    assert request.headers["content-length"] == str(len(request.body))
    assert "transfer-encoding" not in request.headers
    zeros = {"a": base64.b64encode(bytes(100_001)).decode(), "b": "AA=="}
    assert json.loads(request.body) == FIELDS | zeros


@pytest.mark.parametrize("fails_at", [0, 60_000, LARGE - 60_000])
@pytest.mark.parametrize(
    "error",
    [StorageUnavailable("S3 is away"), Permanent(FailureCode.STORAGE_FAILED, "The input is gone")],
)
def test_an_image_that_cannot_be_read_cuts_the_request_off(
    provider_at: Callable[..., ProviderClient], fails_at: int, error: Exception
) -> None:
    """The reader's own error comes through; the provider has seen less than a whole request."""
    server = HalfServer(b"", drain=True)

    with pytest.raises(type(error), match=str(error)):
        provider_at(server.url).submit(PATH, FIELDS, {"a": image(LARGE, fails_at, error)})

    head, _, body = server.received().partition(b"\r\n\r\n")
    stated = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    assert len(body) < int(stated.split(b":")[1])


def test_the_connection_is_not_used_again(provider_at: Callable[..., ProviderClient]) -> None:
    """After a request that was cut off the next goes by a connection of its own."""
    half = HalfServer(b"", drain=True)
    provider = provider_at(half.url)
    with pytest.raises(StorageUnavailable):
        provider.submit(PATH, FIELDS, {"a": image(100_000, 0)})
    half.received()

    assert isinstance(provider.submit(PATH, FIELDS), NotSent)


@pytest.mark.parametrize("first", [1, 200_000])
@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n"])
def test_a_server_that_goes_in_the_middle_has_nothing(
    provider_at: Callable[..., ProviderClient], said: bytes, first: int
) -> None:
    """A connection that breaks before all was handed over leaves no doubt."""
    server = HalfServer(said, lambda request: len(request) >= first)

    outcome = provider_at(server.url).submit(PATH, FIELDS, {"a": image(LARGE)})

    server.received()
    assert isinstance(outcome, NotSent), outcome


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, NotSent), (503, NotSent), (413, Rejected), (402, AccountRefused), (429, Busy)],
)
def test_an_answer_to_half_a_request(
    provider_at: Callable[..., ProviderClient], status: int, kind: type
) -> None:
    """Its words count where they say what to do; what would be a doubt is none."""
    said = f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()
    server = HalfServer(said)

    outcome = provider_at(server.url).submit(PATH, FIELDS, {"a": image(LARGE)})

    server.received()
    # What was said can get lost when a connection is reset; then nothing was said.
    assert isinstance(outcome, kind | NotSent), outcome
    assert not isinstance(outcome, InDoubt)


def test_a_request_that_was_sent_whole_is_in_doubt(
    provider_at: Callable[..., ProviderClient],
) -> None:
    """Once the last part is handed over, silence proves nothing, as without images."""
    server = HalfServer(b"", ends)
    small = {"a": image(10)}

    assert isinstance(provider_at(server.url).submit(PATH, FIELDS, small), InDoubt)
    server.received()


def test_a_server_that_takes_nothing(provider_at: Callable[..., ProviderClient]) -> None:
    """One that lets the request lie has not got it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        provider = provider_at(url, timeout=0.2, send_timeout=60)
        outcome = provider.submit(PATH, FIELDS, {"a": image(LARGE)})

    assert isinstance(outcome, NotSent)
    assert "WriteTimeout" in outcome.message


def test_images_that_take_too_long(provider_at: Callable[..., ProviderClient]) -> None:
    """Sending as a whole has a time limit; what is cut off then is no doubt."""
    server = HalfServer(b"", drain=True)
    waiting = threading.Event()

    def chunks() -> Iterator[bytes]:
        for _ in range(1000):
            waiting.wait(0.02)
            yield bytes(60_000)

    slow = Source(60_000_000, chunks)
    with pytest.raises(Transient, match=r"took longer than 0\.2 s"):
        provider_at(server.url, timeout=0.1, send_timeout=0.2).submit(PATH, FIELDS, {"a": slow})

    assert len(server.received()) < 60_000_000


def test_the_answer_has_its_own_time(provider_at: Callable[..., ProviderClient]) -> None:
    """However long sending took, the answer may take as long as without images."""
    server = HalfServer(TAKEN, ends)
    waiting = threading.Event()

    def chunks() -> Iterator[bytes]:
        for _ in range(10):
            waiting.wait(0.05)
            yield bytes(60_000)

    provider = provider_at(server.url, timeout=0.3, send_timeout=20)

    assert isinstance(provider.submit(PATH, {}, {"a": Source(600_000, chunks)}), Accepted)
    server.received()
