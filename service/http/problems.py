"""Errors as RFC 9457 problem documents; the only module that knows an error's HTTP status.

Each names what is wrong, what is allowed and how to fix it. None holds a secret, or the words of
another system.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from core.errors import StorageUnavailable, StoreUnavailable
from core.log import crash, event

_log = logging.getLogger(__name__)

#: Seconds after which a caller may try again when Redis or S3 was away.
_RETRY_AFTER: Final = "2"
#: The same, when the backlog was full: about the time in which an image is made.
_RETRY_WHEN_FULL: Final = "5"
_MOST_COMPLAINTS: Final = 100
_encode: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
#: Status of a request whose caller left before its body was whole; nobody reads it.
_CALLER_LEFT: Final = HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong with a request."""

    #: Where, as a path: `input.width`.
    field: str
    #: What is wrong with it.
    detail: str
    #: What may stand there.
    allowed: str
    #: How to mend it.
    fix: str


class JsonAnswer(JSONResponse):
    """JSON in ASCII.

    A caller's text may hold half of a surrogate pair, escaped (RFC 8259 section 8.2). It can be
    given back escaped as well, but never as UTF-8.
    """

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return _encode(content).encode("ascii")


class Problem(Exception):
    """A request that is answered with a problem document.

    Args:
        status: HTTP status.
        kind: Short name of the problem; the last part of its `type`.
        detail: What happened and what to do.
        complaints: What is wrong with single fields.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        complaints: Sequence[Complaint] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.complaints = complaints
        self.headers = headers or {}

    def response(self) -> JSONResponse:
        """Return the document (RFC 9457 section 3)."""
        document: dict[str, Any] = {
            "type": f"urn:fluxrelay:problem:{self.kind}",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        if self.complaints:
            # A body can hold more mistakes than anybody reads, or than an answer should hold.
            shown = self.complaints[:_MOST_COMPLAINTS]
            document["errors"] = [asdict(complaint) for complaint in shown]
        return JsonAnswer(
            document,
            self.status.value,
            headers=dict(self.headers),
            media_type="application/problem+json",
        )


def invalid(complaints: Sequence[Complaint]) -> Problem:
    """Return the problem of a body with bad fields."""
    count = len(complaints)
    detail = f"{count} {'field is' if count == 1 else 'fields are'} invalid; see errors"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-fields", detail, complaints)


def too_large(limit: int, part: str = "") -> Problem:
    """Return the problem of a body, or of a part of it, over the limit in bytes."""
    what = f"The body {part}".strip()
    detail = f"{what} is larger than {limit} bytes; send a smaller one, or large images as URLs"
    kind = "body-too-large"
    # The rest of the body is not read, so the connection cannot be used again.
    headers = {"connection": "close"}
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, kind, detail, headers=headers)


async def on_problem(_request: Request, error: Exception) -> JSONResponse:
    """Answer a `Problem`."""
    if not isinstance(error, Problem):
        raise error
    return error.response()


async def on_http_exception(_request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework found wrong: an unknown path or method."""
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    kind = status.phrase.lower().replace(" ", "-")
    detail = {
        HTTPStatus.NOT_FOUND: "There is nothing at this path",
        HTTPStatus.METHOD_NOT_ALLOWED: "This path does not take that method; see the Allow header",
    }.get(status, status.description or status.phrase)
    return Problem(status, kind, detail, headers=error.headers).response()


def backlog_full() -> Problem:
    """Return the problem of a job that comes while as many wait as may."""
    detail = "Too many jobs are waiting already; nothing was accepted, try again after Retry-After"
    headers = {"retry-after": _RETRY_WHEN_FULL}
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, "backlog-full", detail, headers=headers)


async def on_unavailable(request: Request, error: Exception) -> JSONResponse:
    """Answer while Redis or S3 is away: nothing is promised.

    A job may have been stored all the same, where only the answer was lost.
    """
    return unavailable(request, error).response()


def unavailable(request: Request[Any], error: Exception) -> Problem:
    """Return the problem of a store that is away, and log which."""
    event(_log, "request.unavailable", logging.ERROR, path=request.url.path, reason=str(error))
    names = {StoreUnavailable: "The job store", StorageUnavailable: "The object store"}
    name = next((text for kind, text in names.items() if isinstance(error, kind)), "A store")
    fix = "repeat the request after Retry-After"
    if request.method == "POST":
        fix = (
            "so nothing is promised; repeat the request with the same Idempotency-Key, for without "
            "one it could become two jobs"
        )
    detail = f"{name} cannot be reached or cannot keep a promise right now; {fix}"
    headers = {"retry-after": _RETRY_AFTER}
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return Problem(status, "unavailable", detail, headers=headers)


async def on_disconnect(request: Request, _error: Exception) -> JSONResponse:
    """Answer nobody: the caller left while it was sending its body."""
    event(_log, "request.cut_off", path=request.url.path)
    return Problem(
        _CALLER_LEFT, "cut-off", "The connection ended before the whole body arrived"
    ).response()


def crashed(path: str, error: Exception) -> Problem:
    """Return the problem of an error that nobody foresaw, and log it with its trace."""
    crash(_log, "request.crashed", error, path=path[:200], kind=type(error).__name__)
    detail = "An internal error occurred and was logged; try again later"
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail)


def stopped() -> Problem:
    """Return the problem of a request that the process, which leaves, had no time for."""
    detail = (
        "This process was stopped before the request was answered, so nothing is promised; repeat "
        "it with the same Idempotency-Key, for without one it could become two jobs"
    )
    headers = {"connection": "close", "retry-after": _RETRY_AFTER}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "stopped", detail, headers=headers)
