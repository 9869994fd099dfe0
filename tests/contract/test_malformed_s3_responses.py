"""What S3, or a proxy before it, says oddly is its trouble, and may pass: no step crashes."""

import contextlib
import io
import socket
import threading
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import pytest

from core.errors import StorageUnavailable
from core.storage.object_store import ObjectStore
from tests.contract.scripted_server import ScriptedServer, answer, head

_PIECE = 64 * 1024
_ANSWER = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n"


def _put(objects: ObjectStore, key: str, body: bytes) -> bool:
    digest = sha256(body).digest()
    return objects.put_once(
        key, io.BytesIO(body), sha256=digest, content_type="image/png", metadata={}
    )


@pytest.fixture
def objects(
    server: ScriptedServer, environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ObjectStore]:
    """Return a bucket on a scripted server."""
    assert environment
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
    made = ObjectStore("pictures", timeout=2)
    yield made
    made._client.close()  # noqa: SLF001 - its sockets are closed at exit


@pytest.mark.parametrize(
    "header",
    [
        "last-modified: yesterday",
        "last-modified:",
        "x-amz-checksum-sha256: a",
        "x-amz-missing-meta: many",
        "x-amz-mp-parts-count: some",
    ],
)
def test_a_header_that_cannot_be_read_is_s3_s_trouble(
    objects: ObjectStore, server: ScriptedServer, header: str
) -> None:
    """The SDK reads dates and numbers of an object, and stumbles at others."""
    server.script = lambda wire: wire.say(head(200, "content-length: 5", header))

    with pytest.raises(StorageUnavailable, match="look at an object"):
        objects.head("k")


def test_an_object_of_unknown_size_is_s3_s_trouble(
    objects: ObjectStore, server: ScriptedServer
) -> None:
    """A proxy that takes the length away leaves nothing to compare."""
    server.script = lambda wire: wire.say(head(200))

    with pytest.raises(StorageUnavailable, match="look at an object"):
        objects.head("k")


def test_a_list_without_keys_is_s3_s_trouble(objects: ObjectStore, server: ScriptedServer) -> None:
    """There is nothing to delete by."""
    server.script = answer(200, b"<ListBucketResult><Contents></Contents></ListBucketResult>")

    with pytest.raises(StorageUnavailable, match="delete inputs"):
        objects.delete_below("k")


class _SlowReader:
    """Takes a request in pieces, one after each wait, and says that it is stored."""

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._closing = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        # What the system holds for a reader that is slow would hide it.
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._closing.set()
        with contextlib.suppress(OSError):  # closing alone would not wake the thread
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection, contextlib.suppress(OSError):
                    self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(_PIECE)
        top, _, body = data.partition(b"\r\n\r\n")
        lines = dict(line.split(b": ", 1) for line in top.split(b"\r\n")[1:])
        named = {name.lower(): text for name, text in lines.items()}
        if b"expect" in named:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = int(named[b"content-length"]) - len(body)
        while left > 0 and not self._closing.wait(self._wait):
            piece = connection.recv(_PIECE)
            if not piece:
                return
            left -= len(piece)
        stated = named[b"x-amz-checksum-sha256"]
        connection.sendall(_ANSWER + b"x-amz-checksum-sha256: " + stated + b"\r\n\r\n")


def test_an_object_that_is_taken_slowly_is_stored(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit is one of silence: as long as bytes are taken, they are sent."""
    assert environment
    reader = _SlowReader(0.05)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", reader.url)
    objects = ObjectStore("pictures", timeout=1)
    pool: Any = objects._direct._http._manager  # noqa: SLF001 - a far server's small window
    pool.connection_pool_kw["socket_options"] = [(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE)]
    try:
        assert _put(objects, "by-boto3", b"small")
        assert _put(objects, "directly", bytes(4 * 1024 * 1024))
    finally:
        objects._client.close()  # noqa: SLF001 - its sockets are closed at exit
        reader.close()
