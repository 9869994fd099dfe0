"""Serves health checks on connections beyond the limit."""

from http import HTTPStatus
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.problems import Problem

_HEALTH: Final = ("/livez", "/readyz", "/metrics")


class HealthOnly:
    """Answers health checks, and everything else with 503.

    Args:
        app: Answers health checks.
    """

    def __init__(self, app: Any) -> None:
        self._app: ASGIApp = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["path"] in _HEALTH:
            await self._app(scope, receive, send)
            return
        headers = {"connection": "close", "retry-after": "2"}
        detail = "Too many connections are open; try again a little later"
        problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, headers=headers)
        await problem.response()(scope, receive, send)
