"""Requests, answers and errors as httpx has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from fluxrelay.errors import UnreachableError
from fluxrelay.protocol.messages import Answer, Request

#: Seconds to connect.
_CONNECT = 10.0
#: Errors that came before anything was sent.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

#: What httpx raises where no answer comes.
ERRORS = (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL)


@dataclass(eq=False)
class Streamed:
    """An answer whose content is still to be read."""

    request: Request
    response: httpx.Response
    pieces: Any


def built(
    client: httpx.Client | httpx.AsyncClient, request: Request, content: Any, seconds: float
) -> httpx.Request:
    """Return a request as httpx sends it.

    Args:
        client: httpx's client.
        request: what to send.
        content: the body, as the kind of client takes it.
        seconds: the longest silence of the service, apart from the request's patience.

    Raises:
        UnreachableError: The URL is none.
    """
    headers = dict(request.headers)
    if request.body is not None:
        headers["content-type"] = request.body.content_type
        headers["content-length"] = str(request.body.length)
    try:
        return client.build_request(
            request.method,
            request.path,
            params=list(request.params) or None,
            headers=headers,
            content=content,
            timeout=httpx.Timeout(seconds, connect=_CONNECT, read=seconds + request.patience),
        )
    except httpx.InvalidURL as error:
        raise unreachable(error, request) from error


def answer_of(response: httpx.Response, streamed: Streamed | None = None) -> Answer:
    """Return an answer as a value."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    content = response.content if streamed is None else b""
    return Answer(response.status_code, headers, content, streamed)


def unreachable(error: Exception, request: Request) -> UnreachableError:
    """Return our error for one of httpx."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    place = request.path.partition("?")[0]  # a signed link is a secret
    return UnreachableError(
        f"no answer to {request.method} {place}: {what}",
        sent=not isinstance(error, _NOT_SENT),
        idempotency_key=request.idempotency_key,
    )
