"""A server on loopback that says, byte by byte, what a test tells it to."""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

_PATIENCE: Final = 10.0  # seconds without a byte from the client
_END_OF_HEAD: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    method: str
    target: str
    #: Names in lower case.
    headers: dict[str, str]
    body: bytes


class Wire:
    """The server's end of one connection.

    Args:
        connection: The socket.
        closing: Set when the server closes.
    """

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        self._connection = connection
        self._closing = closing

    def say(self, *parts: bytes) -> None:
        """Send bytes at once."""
        self._connection.sendall(b"".join(parts))

    def dribble(self, part: bytes, *, times: int, every: float) -> None:
        """Send the same bytes again and again, every so many seconds."""
        for _ in range(times):
            self._connection.sendall(part)
            if self._closing.wait(every):
                return

    def stall(self) -> None:
        """Say nothing until the client hangs up or the server closes."""
        self._connection.settimeout(0.05)
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                if not self._connection.recv(1):
                    return


Script = Callable[[Wire], None]


class ScriptedServer:
    """Answers each request with `script`, then closes its connection."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.script: Script = answer(200)
        self._closing = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening, and let scripts end."""
        self._closing.set()
        # Closing alone would not wake the thread that accepts.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE)
        with connection, contextlib.suppress(OSError):
            request = _read(connection)
            if request:
                self.requests.append(request)
                self.script(Wire(connection, self._closing))
                # Closing with unread bytes in it would reset what was said.
                connection.shutdown(socket.SHUT_WR)


def answer(status: int, body: bytes = b"", *headers: str, length: int | None = None) -> Script:
    """Return a script that sends one answer.

    Args:
        status: The HTTP status.
        body: The body's bytes.
        headers: Further header lines.
        length: The stated length in bytes, where it is not the body's.
    """

    def script(wire: Wire) -> None:
        stated = len(body) if length is None else length
        wire.say(head(status, f"content-length: {stated}", *headers), body)

    return script


def head(status: int, *headers: str) -> bytes:
    """Return the head of an answer that ends with its connection."""
    lines = (f"HTTP/1.1 {status} Said", "connection: close", *headers)
    return "\r\n".join(lines).encode() + _END_OF_HEAD


def _read(connection: socket.socket) -> Received | None:
    data = b""
    while _END_OF_HEAD not in data:
        more = connection.recv(65_536)
        if not more:
            return None
        data += more
    start, _, body = data.partition(_END_OF_HEAD)
    first, *lines = start.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    while len(body) < int(headers.get("content-length", 0)):
        more = connection.recv(65_536)
        if not more:  # the client cut its request off
            return None
        body += more
    method, target, _ = first.split(" ", 2)
    return Received(method, target, headers, body)
