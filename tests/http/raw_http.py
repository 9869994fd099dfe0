"""HTTP as bytes on a socket, for what no client library would send."""

import socket
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

PIECE = 64 * 1024  # bytes


@dataclass
class Wire:
    """One connection to a service; every wait on it ends after a minute with an error."""

    socket: socket.socket
    #: What came and was not taken yet.
    left: bytes = b""

    @classmethod
    def to(cls, url: str) -> Self:
        """Connect to a service."""
        address = urlsplit(url)
        place = (str(address.hostname), int(address.port or 0))
        return cls(socket.create_connection(place, timeout=60))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        """Send all of it; an error if the other side has hung up."""
        for piece in pieces:
            self.socket.sendall(piece)

    def rest(self) -> bytes:
        """Return what comes until the other side ends; an error if it breaks off."""
        whole = self.left
        while piece := self.socket.recv(PIECE):
            whole += piece
        self.left = b""
        return whole

    def answer(self) -> "Answer":
        """Return the next answer, read by its stated length."""
        while b"\r\n\r\n" not in self.left:
            self._more()
        head, _, self.left = self.left.partition(b"\r\n\r\n")
        answer = Answer(head, b"")
        length = int(answer.headers.get("content-length", "0"))
        while len(self.left) < length:
            self._more()
        answer.body, self.left = self.left[:length], self.left[length:]
        return answer

    def _more(self) -> None:
        piece = self.socket.recv(PIECE)
        assert piece, f"the connection ended after {self.left!r}"
        self.left += piece


@dataclass
class Answer:
    """An answer as it came."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        """The status."""
        return int(self.head.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        """The headers, by their names in small letters."""
        lines = [line.partition(":") for line in self.head.decode("latin-1").split("\r\n")[1:]]
        return {name.lower(): value.strip() for name, _, value in lines}


def whole(raw: bytes) -> Answer:
    """Return the one answer that a connection ended with."""
    head, _, body = raw.partition(b"\r\n\r\n")
    answer = Answer(head, body)
    assert len(body) == int(answer.headers["content-length"])
    return answer


def head(method: str, path: str, *headers: str) -> bytes:
    """Return a request's head."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: x", *headers, "", ""]).encode()


def chunked(pieces: Iterable[bytes]) -> Iterable[bytes]:
    """Yield pieces in the chunked encoding, with its end."""
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def ask(url: str, request: bytes) -> Answer:
    """Return the answer to one request on a connection of its own."""
    with closing(Wire.to(url).socket) as connection:
        connection.sendall(request)
        return Wire(connection).answer()
