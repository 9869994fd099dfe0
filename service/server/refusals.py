"""Responses to requests that never reach the application."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from httptools import HttpParserCallbackError, HttpParserError, HttpParserInvalidMethodError
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.http.problems import Problem
from service.server.limits import LARGEST_HEAD, MOST_HEADERS, MOST_PIPELINED

_METHOD: Final = re.compile(rb"[\r\n]*[A-Za-z][A-Za-z-]{0,31} ")
#: First byte of a TLS connection (RFC 8446 section 5.1: a record of the handshake).
_TLS: Final = b"\x16"


def refusal(problem: Problem, default_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a problem as the last response of a connection.

    Args:
        problem: Why the request is refused.
        default_headers: The server's headers.
    """
    answer = problem.response()
    headers = [*default_headers, *answer.raw_headers]
    headers = [pair for pair in headers if pair[0] != b"connection"]
    lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    lines += b"connection: close\r\n\r\n"
    return STATUS_LINE[problem.status.value] + lines + bytes(answer.body)


def parse_problem(error: HttpParserError, start: bytes) -> Problem:
    """Return why a request could not be parsed.

    Args:
        error: From the parser; its texts are constants.
        start: The beginning of the request; empty if it did not begin with the last data.
    """
    reason = str(error)
    if isinstance(error, HttpParserInvalidMethodError) and _METHOD.match(start):
        detail = "The method is unknown; methods are in capitals, such as GET, POST and DELETE"
        return Problem(HTTPStatus.NOT_IMPLEMENTED, "unknown-method", detail)
    if reason == "Invalid HTTP version" or reason.startswith("Pause on PRI"):
        return wrong_version()
    detail = "The request is not valid HTTP/1.1"
    if start.startswith(_TLS):
        detail += "; it looks like TLS, which a proxy must end before this service"
    elif not isinstance(error, HttpParserCallbackError):
        detail += f" ({reason})"
    return Problem(HTTPStatus.BAD_REQUEST, "bad-request", detail)


def wrong_version() -> Problem:
    """Return the problem of another HTTP version."""
    detail = "Only HTTP/1.1 and HTTP/1.0 are supported; send HTTP/1.1"
    return Problem(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "http-version", detail)


def head_too_large() -> Problem:
    """Return the problem of a head with too many bytes or lines."""
    detail = f"Headers may have {LARGEST_HEAD} bytes and {MOST_HEADERS} lines; send fewer"
    return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", detail)


def too_many_pipelined() -> Problem:
    """Return the problem of a client that sends on and on without reading its answers."""
    detail = (
        f"More than {MOST_PIPELINED} requests of this connection wait for their answers; "
        "read answers before sending on, or use several connections"
    )
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, "too-many-pipelined", detail)


def head_too_slow(seconds: float) -> Problem:
    """Return the problem of a head that did not arrive within some seconds."""
    detail = f"The headers took longer than {seconds:g} s to arrive"
    return Problem(HTTPStatus.REQUEST_TIMEOUT, "too-slow", detail)


def no_tunnel() -> Problem:
    """Return the problem of a CONNECT."""
    detail = "CONNECT is not supported: this is not a proxy"
    return Problem(HTTPStatus.BAD_REQUEST, "bad-request", detail)
