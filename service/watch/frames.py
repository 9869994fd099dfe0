"""Server-sent events: their format, and the answer that sends them as they come."""

import json
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.watch.mailbox import Closed

#: Milliseconds after which a client tries again if its connection breaks.
_RETRY: Final = 2000
#: The same where the stream was ended by us: spread, so that not all clients come back at once.
_SOONEST, _LATEST = 500, 3000
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
#: A comment, which keeps proxies from closing a silent connection.
KEEP_ALIVE: Final = b": keep-alive\n\n"
HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
}


def frame(name: str, data: Any, number: str | None = None) -> bytes:
    """Return an event.

    Args:
        name: Its type.
        data: Its data, sent as JSON in one line.
        number: Its id.
    """
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {name}\ndata: {_encode(data)}\n\n".encode()


def begin(number: str | None = None) -> bytes:
    """Return the beginning of a stream, and the id that a client resumes from until it has one."""
    head = f"retry: {_RETRY}\n"
    return (head if number is None else f"{head}id: {number}\n").encode() + b"\n"


def keep_alive(number: str) -> bytes:
    """Return a comment, and the id to resume from: that of an event which the client did not want.

    Without it, a client to which nothing was sent for long would resume from an event that is gone.
    """
    return f"id: {number}\n".encode() + KEEP_ALIVE


def end(why: Closed) -> bytes:
    """Return the last part of a stream that ends before its time."""
    if why is Closed.FULL:  # it goes on from its last event; whoever reads slowly need not wait
        return begin()
    return f"retry: {random.randint(_SOONEST, _LATEST)}\n\n".encode()  # noqa: S311 - spreads load


class EventsAnswer(Response):
    """Sends pieces as they come; what the first one raises is answered as a problem.

    Args:
        pieces: The stream; closed when the client leaves.
    """

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Send the stream."""
        async with aclosing(self._pieces) as pieces:
            piece = await anext(pieces)
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                async for more in pieces:
                    await send({"type": "http.response.body", "body": more, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
