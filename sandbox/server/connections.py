"""Open client connections, so that a fault can break one in the middle of an answer."""

import asyncio
import contextlib

from starlette.requests import Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Connections:
    """The server's open connections by client address."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], tuple[asyncio.Transport, asyncio.Event]] = {}

    async def cut(self, request: Request) -> None:
        """Close the request's connection once the written data is sent, and wait for the end."""
        if request.client and tuple(request.client) in self._open:
            transport, closed = self._open[request.client.host, request.client.port]
            transport.close()
            await closed.wait()

    async def left(self, request: Request, seconds: float) -> None:
        """Wait this long, or until the client disconnects."""
        if seconds and request.client and tuple(request.client) in self._open:
            _, closed = self._open[request.client.host, request.client.port]
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(closed.wait(), seconds)

    def is_open(self, request: Request) -> bool:
        """Return whether the client is still connected."""
        return request.client is not None and tuple(request.client) in self._open

    def opened(self, client: tuple[str, int] | None, transport: asyncio.Transport) -> None:
        """Register a new connection."""
        if client:
            self._open[client] = transport, asyncio.Event()

    def lost(self, client: tuple[str, int] | None) -> None:
        """Remove a connection that has ended."""
        if client and client in self._open:
            _, closed = self._open.pop(client)
            closed.set()

    def protocol(self) -> type[HttpToolsProtocol]:
        """Return the server's protocol class that reports its connections here."""
        connections = self

        class ReportingProtocol(HttpToolsProtocol):
            def connection_made(  # type: ignore[override]  # as in uvicorn: transports are always real
                self, transport: asyncio.Transport
            ) -> None:
                super().connection_made(transport)
                connections.opened(self.client, transport)

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                connections.lost(self.client)

        return ReportingProtocol
