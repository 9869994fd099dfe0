"""Rejects requests whose host or length is ambiguous.

A proxy that interprets either differently would allow request smuggling.
"""

from collections.abc import Sequence
from http import HTTPStatus

from service.http.problems import Problem

Headers = Sequence[tuple[bytes, bytes]]


def has_plain_framing(headers: Headers) -> bool:
    """Return whether framing is unambiguous: one host, and no transfer coding.

    Args:
        headers: The request's headers; names are lower-case.
    """
    names = [name for name, _ in headers]
    return names.count(b"host") == 1 and b"transfer-encoding" not in names


def framing_problem(headers: Headers, version: str) -> Problem | None:
    """Return what is ambiguous about a request's head, if anything.

    Args:
        headers: As above.
        version: The HTTP version: `1.1`.
    """
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
    return None


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
