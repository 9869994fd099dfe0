"""Answers clients of HTTP/1.0, such as a proxy that speaks nothing newer to us."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.server.small_connection import SmallConnection


class AnswersOldHttp(SmallConnection):
    """uvicorn's protocol, which sends no chunks to HTTP/1.0.

    HTTP/1.0 knows none, and would take their sizes for parts of the content. Content without a
    stated length ends with its connection instead (RFC 9112 sections 6.1 and 6.3).
    """

    def on_headers_complete(self) -> None:
        """Have the response framed as the client's version has it."""
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0":
            self.cycle.send = _Unframed(self.cycle)  # type: ignore[method-assign] # before its task begins


class _Unframed:
    """Sends a response whose length is not stated as it comes, without chunks."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._send = cycle.send
        self._is_stated = True

    async def __call__(self, message: Any) -> None:
        """Send a part of the response."""
        if message["type"] == "http.response.start":
            self._is_stated = any(name == b"content-length" for name, _ in message["headers"])
            if not self._is_stated:
                self._cycle.chunked_encoding = False
        elif not self._is_stated:
            # What uvicorn expects is just what comes.
            self._cycle.expected_content_length = len(message.get("body", b""))
        await self._send(message)
