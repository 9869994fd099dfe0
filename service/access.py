"""One log line per request."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.log import event

_log = logging.getLogger(__name__)
_QUIET = ("/livez", "/readyz", "/metrics")


class AccessLog:
    """Writes method, path, status and duration of each request; no header and no query."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it went."""
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            event(
                _log,
                "request",
                method=scope["method"],
                path=scope["path"][:200],
                status=status,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )
