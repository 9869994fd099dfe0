"""Whether it is beyond doubt for which host a request is, and where it ends.

A proxy in front that reads either differently would let one client speak for another.
"""

from collections.abc import Sequence
from http import HTTPStatus

from service.http.problems import Problem

Headers = Sequence[tuple[bytes, bytes]]


def is_usual(headers: Headers) -> bool:
    """Say whether there is nothing to look at: one host, and a length or no body.

    Args:
        headers: Of the request, with their names in small letters.
    """
    names = [name for name, _ in headers]
    return names.count(b"host") == 1 and b"transfer-encoding" not in names


def flaw(headers: Headers, version: str) -> Problem | None:
    """Return what is wrong with a request's head, if anything.

    Args:
        headers: As above.
        version: Of HTTP: `1.1`.
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


def without_offer(method: bytes, url: bytes, version: str, headers: Headers) -> bytes:
    """Return a request's head as it would be without the offer to speak another protocol.

    Args:
        method: Of the request.
        url: As it came.
        version: Of HTTP: `1.1`.
        headers: As above.
    """
    lines = [b"%b: %b" % pair for pair in headers if pair[0] != b"upgrade"]
    first = b"%b %b HTTP/%b" % (method, url, version.encode())
    return b"\r\n".join([first, *lines, b"", b""])
