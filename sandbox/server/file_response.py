"""Sends a file piece by piece, so that it needs no memory, and breaks off where a fault says so."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox.server.connections import Connections


@dataclass(frozen=True)
class Pacing:
    """How the bytes are sent. Times are in seconds."""

    #: Number of bytes after which the connection closes; None: all are sent.
    limit: int | None = None
    #: Silence before the connection closes.
    silence: float = 0.0
    #: Pause before each piece.
    pause: float = 0.0


class FileResponse(Response):
    """An answer with a file's bytes. `completed` is called before the last piece is sent."""

    def __init__(
        self,
        pieces: Iterable[bytes | memoryview],
        status: int,
        headers: Mapping[str, str],
        *,
        pacing: Pacing,
        completed: Callable[[], None],
        connections: Connections,
        request: Request,
    ) -> None:
        super().__init__(None, status, headers)
        self._pieces = pieces
        self._left = int(headers["content-length"])
        self._pacing = pacing
        self._completed = completed
        self._connections = connections
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send the headers, then one piece after the other."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        if scope["method"] != "HEAD" and not await self._send_pieces(send):
            await self._connections.left(self._request, self._pacing.silence)
            await self._connections.cut(self._request)
            return
        await send({"type": "http.response.body", "body": b""})

    async def _send_pieces(self, send: Send) -> bool:
        """Return whether all bytes were sent, which stops where the pacing says so."""
        allowed, left = self._pacing.limit, self._left
        for piece in self._pieces:
            if self._pacing.pause:
                await asyncio.sleep(self._pacing.pause)
            if not self._connections.is_open(self._request):
                return True
            body = bytes(piece if allowed is None else piece[:allowed])
            left -= len(body)
            if not left:
                # Counted first: who has all bytes must find the download counted.
                self._completed()
            await send({"type": "http.response.body", "body": body, "more_body": True})
            if allowed is not None:
                allowed -= len(body)
                if not allowed:
                    return not left
        return True
