"""Endpoints without the framework's own wrapping, for the routes that have most of the requests."""

from collections.abc import Awaitable, Callable
from functools import update_wrapper
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

Endpoint = Callable[[Request[Any]], Awaitable[Response]]


class Direct:
    """An ASGI application that answers with what an endpoint returns.

    Around a plain function the framework puts a second handling of errors, inside of the one around
    the whole application, and each message passes through it.

    Args:
        endpoint: What it raises is handled around the application.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        update_wrapper(self, endpoint)  # who looks at the routes finds its name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._endpoint(Request(scope, receive, send))
        await response(scope, receive, send)
