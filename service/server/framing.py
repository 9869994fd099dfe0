"""Rejects requests whose target, host or length is ambiguous.

A proxy that interprets any of them differently would allow request smuggling.
"""

import re
from collections import deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from service.http.problems import Problem
from service.server.limits import LARGEST_HEAD, MOST_HEADERS
from service.server.refusals import wrong_version

Headers = Sequence[tuple[bytes, bytes]]
#: A target in absolute form (RFC 9112 section 3.2.2): host, path, query.
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#]+)(/[^?#]*)?(\?[^#]*)?")
#: Overhead per header line: colon, space, line end.
_AROUND: Final = 4  # bytes
_VERSIONS: Final = ("1.0", "1.1")
#: Takes a body's trailers and keeps none: they must not join the head (RFC 9110 section 6.5.1).
NO_HEADERS: Final[Any] = deque[tuple[bytes, bytes]](maxlen=0)


def has_plain_framing(target: bytes, version: str, headers: Headers) -> bool:
    """Return whether a head is unambiguous: a path, HTTP/1.1, one host, and no transfer coding.

    Args:
        target: The request's target.
        version: The HTTP version: `1.1`.
        headers: The request's headers; names are lower-case.
    """
    names = [name for name, _ in headers]
    plain = names.count(b"host") == 1 and b"transfer-encoding" not in names
    return plain and version == "1.1" and target.startswith(b"/")


def framing_problem(target: bytes, version: str, headers: Headers) -> Problem | None:
    """Return what is wrong with or ambiguous about a request's head, if anything.

    Args:
        target: As above.
        version: As above.
        headers: As above.
    """
    if version not in _VERSIONS:
        return wrong_version()
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1 or (hosts == 0 and version == "1.1"):  # RFC 9112 section 3.2
        detail = f"The request has {hosts} Host headers; send exactly one"
        return Problem(HTTPStatus.BAD_REQUEST, "bad-request", detail)
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    if codings and codings != [b"chunked"]:  # RFC 9112 section 6.1
        detail = (
            "Of all transfer codings only chunked is supported; send Transfer-Encoding: chunked"
        )
        return Problem(HTTPStatus.NOT_IMPLEMENTED, "transfer-encoding", detail)
    detail = _target_problem(target, headers)
    return Problem(HTTPStatus.BAD_REQUEST, "bad-request", detail) if detail else None


def _target_problem(target: bytes, headers: Headers) -> str:
    """Return what is wrong with a target, "" if nothing."""
    if target.startswith(b"/"):
        return ""
    absolute = _ABSOLUTE.match(target)
    if not absolute:
        return "The request's target is not a path; send a path such as /v1/jobs"
    host = next((value for name, value in headers if name == b"host"), absolute[1])
    if host.lower() != absolute[1].lower():
        return "The Host header names another host than the request's target; send the same one"
    return ""


def path_and_query(target: bytes) -> bytes:
    """Return a valid target in origin form: the path and the query.

    Args:
        target: In origin form or in absolute form.
    """
    absolute = _ABSOLUTE.match(target)
    return (absolute[2] or b"/") + (absolute[3] or b"") if absolute else target


def is_head_too_large(target: bytes, headers: Headers, received: int) -> bool:
    """Return whether a head has too many bytes or lines.

    Args:
        target: As above.
        headers: As above.
        received: Bytes that arrived since the last request; only if these are too many, which may
            include more than the head, is the head measured.
    """
    return len(headers) > MOST_HEADERS or (
        received > LARGEST_HEAD
        and len(target) + sum(len(name) + len(value) + _AROUND for name, value in headers)
        > LARGEST_HEAD
    )


def without_upgrade(method: bytes, url: bytes, version: str, headers: Headers) -> bytes:
    """Return a request's head without its Upgrade header.

    Args:
        method: The request's method.
        url: The request's target.
        version: The HTTP version: `1.1`.
        headers: As above.
    """
    lines = [b"%b: %b" % pair for pair in headers if pair[0] != b"upgrade"]
    first = b"%b %b HTTP/%b" % (method, url, version.encode())
    return b"\r\n".join([first, *lines, b"", b""])
