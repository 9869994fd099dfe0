"""Server-sent events: the format of the event streams, parsed piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream."""

    id: str
    type: str
    data: str


class EventParser:
    """Parses a stream that comes in pieces of any size, as the HTML standard says.

    Attributes:
        last_id: id of the newest event.
        retry: seconds after which to connect again, as the server asked; None until it did.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry: float | None = None
        self._rest = b""
        self._begun = False
        self._id = last_id
        self._type = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """Take the next piece of the stream and yield the events that it completes."""
        text = self._rest + piece
        # A line feed that follows may belong to the carriage return at the end.
        held = b"\r" if text.endswith(b"\r") else b""
        lines = text[: len(text) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *complete, rest = lines.split(b"\n")
        self._rest = rest + held
        for line in complete:
            event = self._line(line.decode("utf-8", "replace"))
            if event:
                yield event

    def reconnected(self) -> None:
        """Forget what the end of a connection cut off."""
        self._rest, self._begun, self._id = b"", False, self.last_id
        self._type, self._data = "", []

    def _line(self, line: str) -> ServerEvent | None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix("\ufeff")
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value[:9]) / 1000
        return None

    def _dispatch(self) -> ServerEvent | None:
        self.last_id = self._id  # not before: an event that was cut off must come again
        event = ServerEvent(self.last_id, self._type or "message", "\n".join(self._data))
        told = bool(self._data)
        self._type, self._data = "", []
        return event if told else None
