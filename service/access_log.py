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
    """Writes method, path, status and duration of each request; no header and no query.

    What no handler foresaw is answered here as a mistake of ours, and who is cut off as the process
    leaves is told to come again.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it went."""
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
            # Caught here, an error that nobody foresaw does not cost the connection as well.
            answer: Response = crashed(scope["path"], error).response()
            if status:
                raise
            await answer(scope, receive, note_status)
        except asyncio.CancelledError:
            # The process leaves and its grace is over; an answer that has begun just ends.
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
