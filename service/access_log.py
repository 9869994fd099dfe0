"""One log line per request."""

import asyncio
import logging
import time

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.log import event
from service.drop_in.errors import in_shape_of
from service.http.problems import crashed, stopped

_log = logging.getLogger(__name__)
_QUIET = ("/livez", "/readyz", "/metrics")


class AccessLog:
    """Logs method, path, status and duration of each request; no headers, no query.

    It also answers unexpected errors with 500, and requests cut off by a shutdown with 503.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the request and log its outcome."""
        if scope["type"] != "http":
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
        except Exception as error:
            # Handled here, an unexpected error does not close the connection.
            answer: Response = crashed(scope["path"], error).response()
            if status:
                raise
            await answer(scope, receive, note_status)
        except asyncio.CancelledError:
            # The grace period of a shutdown is over; a response that has started just ends.
            if not status:
                answer = in_shape_of(scope["path"], stopped())
                await answer(scope, receive, note_status)
        finally:
            if scope["path"] not in _QUIET:
                event(
                    _log,
                    "request",
                    method=scope["method"],
                    path=scope["path"][:200],
                    status=status,
                    milliseconds=round((time.perf_counter() - started) * 1000, 1),
                )
