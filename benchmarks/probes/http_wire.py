"""HTTP/1.1 in as few steps as it takes, for both ends of the benchmarks: keep-alive, no chunks."""

import asyncio
import re
from typing import NamedTuple

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_WEBHOOK_ID = re.compile(rb"(?i)\r\nwebhook-id: *msg_([^\r]+)")


class Message(NamedTuple):
    """A request or an answer as it came."""

    head: bytes
    body: bytes

    @property
    def target(self) -> str:
        """The path and query of a request."""
        return self.head.split(b" ", 2)[1].decode()

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.head.split(b" ", 1)[0].decode()

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.head[9:12])

    @property
    def webhook_id(self) -> str:
        """What a callback's `webhook-id` header says behind `msg_`."""
        found = _WEBHOOK_ID.search(self.head)
        return found[1].decode() if found else ""


def length_of(head: bytes) -> int:
    """Return the stated length of a body in bytes; 0 where none is stated."""
    found = _LENGTH.search(head)
    return int(found[1]) if found else 0


async def read(reader: asyncio.StreamReader) -> Message:
    """Read one message.

    Raises:
        asyncio.IncompleteReadError: The other side has gone.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    length = length_of(head)
    return Message(head, await reader.readexactly(length) if length else b"")


def answer(body: bytes = b"", status: str = "200 OK", kind: str = "application/json") -> bytes:
    """Return an answer's bytes."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def request(method: str, target: str, host: str, body: bytes = b"", **headers: str) -> bytes:
    """Return a request's bytes; underscores in a header's name stand for dashes."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "\r\n"]).encode() + body
