"""Endpoints without Starlette's wrapper, for the busiest routes."""

from collections.abc import Awaitable, Callable
from functools import update_wrapper
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Endpoint = Callable[[Request[Any]], Awaitable[Response]]


class Direct:
    """An ASGI application that sends the response of an endpoint.

    Starlette wraps plain functions in a second exception handler, inside that of the application,
    and passes each message through it; this skips it.

    Args:
        endpoint: Its exceptions are handled by the application.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        update_wrapper(self, endpoint)  # the route then shows its name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        response = await self._endpoint(Request(scope, receive, send))
        await response(scope, receive, send)
