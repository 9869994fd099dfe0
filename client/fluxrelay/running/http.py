"""Requests, answers and errors as httpx has them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from fluxrelay.errors import ConfigurationError, UnreachableError
from fluxrelay.protocol.messages import Answer, Request

#: Seconds to connect.
_CONNECT = 10.0
#: Errors that came before anything was sent.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

#: What httpx raises where no answer comes.
ERRORS = (
    httpx.TransportError,
    httpx.DecodingError,
    httpx.InvalidURL,
    UnicodeError,  # idna's, of a host name that cannot be one
)
#: Variables that httpx reads.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")

C = TypeVar("C")


@dataclass(eq=False)
class Streamed:
    """An answer whose content is still to be read."""

    request: Request
    response: httpx.Response
    pieces: Any


def of_environment(make: Callable[[], C]) -> C:
    """Return a client of httpx, which uses the proxies and certificates that variables name.

    Raises:
        ConfigurationError: One of them cannot be used; the error names it, and no password.
    """
    try:
        return make()
    except ImportError:
        raise ConfigurationError(
            f"{_named(_PROXIES)} names a SOCKS proxy, for which a package is missing: "
            "pip install 'httpx[socks]'"
        ) from None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigurationError(f"{_named(_CERTIFICATES)} cannot be used: {why}") from None
    except (ValueError, httpx.InvalidURL):
        text = f"{_named(_PROXIES)} must be the URL of a proxy, such as http://host:3128"
        raise ConfigurationError(text) from None


def _named(names: tuple[str, ...]) -> str:
    """Return those of the variables that are set."""
    every = [spelt for name in names for spelt in (name, name.lower()) if os.environ.get(spelt)]
    return " or ".join(every) or " or ".join(names)


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
    except ERRORS as error:
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
