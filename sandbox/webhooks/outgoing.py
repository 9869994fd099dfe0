"""Sends webhooks as POSTs over persistent connections, with little overhead.

A general HTTP client costs several times as much per webhook; when two dozen tasks end together,
the last webhooks would be that much later.
"""

import asyncio
import select
import ssl
import time
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import httpx
from httptools import HttpParserError, HttpResponseParser

USER_AGENT: Final = b"flux-sandbox"
#: Seconds that an idle connection is kept; servers close theirs after five or more.
KEPT_SECONDS: Final = 3.0

Fields = Iterable[tuple[bytes, bytes]]
_Origin = tuple[str, str, int]


class PostError(OSError):
    """The request could not be sent, or got no valid answer."""


class ConnectError(PostError):
    """The connection was refused."""


class _Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self.keeps = False
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._answered: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse a part of an answer."""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(PostError(f"the answer is not HTTP: {error}"))
            self.close()

    def on_message_complete(self) -> None:
        """Return the answer's status to the sender; the parser calls this."""
        status, self.keeps = self._parser.get_status_code(), self._parser.should_keep_alive()
        self._parser = HttpResponseParser(self)
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request that waits for an answer."""
        self._transport = None
        self._fail(PostError(str(exc) if exc else "the connection was closed without an answer"))

    async def send(self, request: bytes) -> int:
        """Send a request and return the status of its answer.

        Raises:
            PostError: There was no answer.
        """
        if self._transport is None:
            raise PostError("the connection was closed")
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def is_usable(self, now: float) -> bool:
        """Return whether it is open and has not been idle for too long."""
        if self._transport is None or now - self.idle_since > KEPT_SECONDS:
            return False
        # The loop may not have noticed yet that the other side has closed it.
        poller = select.poll()
        poller.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return not poller.poll(0)

    def close(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: PostError) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(error)


class HttpSender:
    """Pools the connections; used from one event loop only."""

    def __init__(self) -> None:
        self._idle: defaultdict[_Origin, list[_Connection]] = defaultdict(list)

    async def post(self, url: str, content: bytes, fields: Fields) -> int:
        """POST to a URL and return the status of the answer; cancellation closes the connection.

        Raises:
            PostError: There was no answer.
            httpx.InvalidURL: The URL is invalid.
        """
        origin, head = _address(url)
        request = head + _rest(content, fields)
        connection = self._kept(origin) or await _connected(origin)
        try:
            status = await connection.send(request)
        except BaseException:
            connection.close()
            raise
        if connection.keeps:
            connection.idle_since = time.monotonic()
            self._idle[origin].append(connection)
        else:
            connection.close()
        return status

    def close(self) -> None:
        """Close all idle connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _kept(self, origin: _Origin) -> _Connection | None:
        """Take the connection that was used last, so that surplus connections age out."""
        idle, now = self._idle[origin], time.monotonic()
        while idle:
            connection = idle.pop()
            if connection.is_usable(now):
                return connection
            connection.close()
        return None


async def _connected(origin: _Origin) -> _Connection:
    scheme, host, port = origin
    loop = asyncio.get_running_loop()
    context = _context() if scheme == "https" else None
    try:
        _, connection = await loop.create_connection(_Connection, host, port, ssl=context)
    except OSError as error:
        raise ConnectError(str(error)) from error
    return connection


@lru_cache(maxsize=1)
def _context() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


@lru_cache(maxsize=256)
def _address(url: str) -> tuple[_Origin, bytes]:
    """Return the address for a request to a URL, and the header lines that depend on the URL."""
    parsed = httpx.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ConnectError(f"not an address of HTTP: {parsed.scheme}")
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    lines = (b"POST %b HTTP/1.1" % parsed.raw_path, b"host: %b" % parsed.netloc)
    return (parsed.scheme, parsed.raw_host.decode("ascii"), port), b"\r\n".join(lines)


def _rest(content: bytes, fields: Fields) -> bytes:
    """Return the remaining header lines and the body.

    Raises:
        PostError: A header value contains a line break.
    """
    lines = [b"", b"user-agent: %b" % USER_AGENT, b"accept: */*"]
    for name, value in fields:
        if b"\r" in value or b"\n" in value or b"\0" in value:
            raise PostError(f"{name.decode()} cannot be sent")
        lines.append(b"%b: %b" % (name, value))
    lines += [b"content-length: %d" % len(content), b"", content]
    return b"\r\n".join(lines)
