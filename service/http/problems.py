"""Errors as RFC 9457 problem documents; the only module that maps errors to HTTP statuses.

Each states what is wrong, what is allowed and how to fix it. None contains a secret or text from
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

#: Retry-After in seconds when Redis or S3 is unreachable.
_RETRY_AFTER: Final = "2"
#: Retry-After when the backlog is full: about the time that one image takes.
_RETRY_WHEN_FULL: Final = "5"
#: A POST below these creates no job: what it asks for is the same when it is asked for again.
_SAFE_TO_REPEAT: Final = ("/v1/jobs/", "/v1/batches/", "/v1/callbacks/", "/webhooks/")
_MOST_ERRORS: Final = 100
_encode: Final = json.JSONEncoder(
    allow_nan=False, check_circular=False, separators=(",", ":")
).encode
#: Status logged for a request whose caller disconnected; nobody receives it.
_CALLER_LEFT: Final = HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class FieldError:
    """One problem with one field of a request."""

    #: Path of the field: `input.width`.
    field: str
    #: What is wrong with it.
    detail: str
    #: What is allowed.
    allowed: str
    #: How to fix it.
    fix: str


class JsonAnswer(JSONResponse):
    """A JSON response in ASCII.

    A caller's text may contain an escaped lone surrogate (RFC 8259 section 8.2). It can be returned
    escaped, but not as UTF-8.
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
        errors: What is wrong with single fields.
        headers: Further headers of the answer.
        members: Further members of the document.
    """

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        *,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}
        self.members = members or {}

    def response(self) -> JSONResponse:
        """Return the document as a response (RFC 9457 section 3)."""
        document: dict[str, Any] = {
            "type": f"urn:fluxrelay:problem:{self.kind}",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            **self.members,
        }
        if self.errors:
            # Bound the size of the response.
            shown = self.errors[:_MOST_ERRORS]
            document["errors"] = [asdict(field_error) for field_error in shown]
        return JsonAnswer(
            document,
            self.status.value,
            headers=dict(self.headers),
            media_type="application/problem+json",
        )


def invalid(errors: Sequence[FieldError]) -> Problem:
    """Return the problem of invalid fields."""
    count = len(errors)
    detail = f"{count} {'field is' if count == 1 else 'fields are'} invalid; see errors"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-fields", detail, errors)


def too_large(limit: int, part: str = "") -> Problem:
    """Return the problem of a body, or part of it, that exceeds the limit in bytes."""
    what = f"The body {part}".strip()
    detail = f"{what} is larger than {limit} bytes; send a smaller one, or large files as URLs"
    kind = "body-too-large"
    # The rest of the body stays unread, so the connection cannot be reused.
    headers = {"connection": "close"}
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, kind, detail, headers=headers)


async def on_problem(_request: Request, error: Exception) -> JSONResponse:
    """Answer a `Problem`."""
    if not isinstance(error, Problem):
        raise error
    return error.response()


async def on_http_exception(_request: Request, error: Exception) -> JSONResponse:
    """Answer errors of the framework, such as an unknown path or method."""
    if not isinstance(error, HTTPException):
        raise error
    status = HTTPStatus(error.status_code)
    kind = status.phrase.lower().replace(" ", "-")
    detail = {
        HTTPStatus.NOT_FOUND: (
            "There is nothing at this path; GET /openapi.json lists all paths, GET /v1/models the "
            "models"
        ),
        HTTPStatus.METHOD_NOT_ALLOWED: "This path does not take that method; see the Allow header",
    }.get(status, status.description or status.phrase)
    return Problem(status, kind, detail, headers=error.headers).response()


def backlog_full(most: int | None) -> Problem:
    """Return the problem of a full backlog.

    Args:
        most: How many jobs may wait.
    """
    detail = (
        f"The backlog of waiting jobs is full: {most} may wait (FLUXRELAY_MAX_BACKLOG); nothing "
        "was accepted, try again after Retry-After"
    )
    headers = {"retry-after": _RETRY_WHEN_FULL}
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, "backlog-full", detail, headers=headers)


async def on_unavailable(request: Request, error: Exception) -> JSONResponse:
    """Answer while Redis or S3 is unreachable.

    The job may have been stored nevertheless, if only the reply was lost.
    """
    return unavailable(request, error).response()


def unavailable(request: Request[Any], error: Exception) -> Problem:
    """Return the problem of an unreachable store, and log which one."""
    event(_log, "request.unavailable", logging.ERROR, path=request.url.path, reason=str(error))
    names = {StoreUnavailable: "The job store", StorageUnavailable: "The object store"}
    name = next((text for kind, text in names.items() if isinstance(error, kind)), "A store")
    fix = "repeat the request after Retry-After"
    if request.method == "POST" and not request.url.path.startswith(_SAFE_TO_REPEAT):
        fix = (
            "so nothing is promised; repeat the request with the same Idempotency-Key, for without "
            "one it could become two jobs"
        )
    detail = f"{name} cannot be reached or cannot keep a promise right now; {fix}"
    headers = {"retry-after": _RETRY_AFTER}
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return Problem(status, "unavailable", detail, headers=headers)


async def on_disconnect(request: Request, _error: Exception) -> JSONResponse:
    """Log that the caller disconnected while sending its body."""
    event(_log, "request.cut_off", path=request.url.path)
    return Problem(
        _CALLER_LEFT, "cut-off", "The connection ended before the whole body arrived"
    ).response()


def crashed(path: str, error: Exception) -> Problem:
    """Return the problem of an unexpected error, and log its traceback."""
    crash(_log, "request.crashed", error, path=path[:200], kind=type(error).__name__)
    detail = "An internal error occurred and was logged; try again later"
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", detail)


def stopped() -> Problem:
    """Return the problem of a request cut off by a shutdown."""
    detail = (
        "This process was stopped before the request was answered, so nothing is promised; repeat "
        "it with the same Idempotency-Key, for without one it could become two jobs"
    )
    headers = {"connection": "close", "retry-after": _RETRY_AFTER}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "stopped", detail, headers=headers)
