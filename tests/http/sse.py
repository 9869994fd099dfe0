"""Server-sent events, read from a socket as they come."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from tests.http.raw_http import Answer, Wire, head


@dataclass
class Frame:
    """What stands between two blank lines of a stream."""

    #: Its fields; a comment's name is empty.
    fields: dict[str, str]

    @property
    def event(self) -> str:
        """The type of the event; empty where it is none."""
        return self.fields.get("event", "")

    @property
    def id(self) -> str:
        """Its id; empty where it has none."""
        return self.fields.get("id", "")

    @property
    def data(self) -> Any:
        """Its data."""
        return json.loads(self.fields["data"])


@dataclass
class Events:
    """A stream, from the answer's head on."""

    wire: Wire
    head: Answer
    frames: Iterator[Frame] = field(init=False)

    def __post_init__(self) -> None:
        self.frames = self._read()

    def next(self) -> Frame:
        """Return the next frame; an error if the stream ends before."""
        frame = next(self.frames, None)
        assert frame is not None, "the stream has ended"
        return frame

    def event(self) -> Frame:
        """Return the next event, whatever stands before it."""
        while not (frame := self.next()).event:
            pass
        return frame

    def rest(self) -> list[Frame]:
        """Return all frames until the stream ends."""
        return list(self.frames)

    def _read(self) -> Iterator[Frame]:
        text = ""
        for chunk in self._chunks():
            text += chunk.decode()
            while "\n\n" in text:
                block, _, text = text.partition("\n\n")
                lines = (line.partition(":") for line in block.split("\n"))
                yield Frame({name: value.removeprefix(" ") for name, _, value in lines})
        assert not text

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._line(), 16):
            while len(self.wire.left) < size + 2:
                self._more()
            chunk, self.wire.left = self.wire.left[:size], self.wire.left[size + 2 :]
            yield chunk
        assert self._line() == b""

    def _line(self) -> bytes:
        while b"\r\n" not in self.wire.left:
            self._more()
        line, _, self.wire.left = self.wire.left.partition(b"\r\n")
        return line

    def _more(self) -> None:
        piece = self.wire.socket.recv(65536)
        assert piece, "the connection ended before its stream"
        self.wire.left += piece

    @classmethod
    @contextmanager
    def of(cls, url: str, path: str, *headers: str, key: str = "") -> Iterator[Self]:
        """Ask for a stream and read its head."""
        with Wire.to(url) as wire:
            wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.send(head("GET", path, f"x-key: {key}", *headers))
            while b"\r\n\r\n" not in wire.left:
                piece = wire.socket.recv(65536)
                assert piece, "no answer"
                wire.left += piece
            start, _, wire.left = wire.left.partition(b"\r\n\r\n")
            yield cls(wire, Answer(start, b""))
