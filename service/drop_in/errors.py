"""Renders problems in the provider's format: `{"detail": …}` (BFL OpenAPI, HTTPValidationError).

Both APIs share the same checks; only the format of errors differs.
"""

import re
from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from posixpath import normpath
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from core.errors import StorageUnavailable, StoreUnavailable
from service.http import problems
from service.http.problems import FieldError, JsonAnswer, Problem, crashed, unavailable
from service.state import State

Endpoint = Callable[[Request[State]], Awaitable[Response]]

#: The provider's messages for a missing and for a wrong key, which clients check.
_KEY_PROBLEMS: Final = {
    "missing-key": "Not authenticated",
    "wrong-key": "Not authenticated - Invalid Authentication",
}
#: Roots of the native API; all other paths get errors in the provider's format.
_OUR_ROOTS: Final = (
    *("/v1/jobs/", "/v1/batches/", "/v1/events/", "/v1/callbacks/", "/v1/callback-secret/"),
    *("/v1/dead-letters/", "/v1/models/", "/webhooks/"),
    *("/openapi.json/", "/docs/", "/livez/", "/readyz/", "/metrics/"),
)
#: A field with positions in arrays: `keyframes[1][0]`.
_POSITIONS: Final = re.compile(r"([^\[\]]+)((?:\[[0-9]+\])+)")
#: Our field names -> the provider's, where they differ.
_PLACES: Final = {"callback": "webhook_url", "callback.url": "webhook_url"}


def with_provider_errors(endpoint: Endpoint) -> Endpoint:
    """Wrap an endpoint so that its problems have the provider's format."""

    @wraps(endpoint)
    async def answer(request: Request[State]) -> Response:
        try:
            return await endpoint(request)
        except Problem as problem:
            return provider_error(problem)
        except (StoreUnavailable, StorageUnavailable) as error:
            return provider_error(unavailable(request, error))
        except (ClientDisconnect, HTTPException):
            raise
        except Exception as error:  # noqa: BLE001 - crashes have the provider's format, too
            return provider_error(crashed(request.url.path, error))

    return answer


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer errors of the framework; on the provider's paths in its format.

    A path that is not there belongs to no API: a problem document has a text as `detail` as well,
    which is all that clients of the provider read.
    """
    unknown = isinstance(error, HTTPException) and error.status_code == HTTPStatus.NOT_FOUND
    if isinstance(error, HTTPException) and not unknown and not _is_ours(request.scope["path"]):
        phrase = HTTPStatus(error.status_code).phrase
        headers = dict(error.headers or {})
        return JsonAnswer({"detail": phrase}, error.status_code, headers=headers)
    return await problems.on_http_exception(request, error)


def in_shape_of(path: str, problem: Problem) -> Response:
    """Return the response to a problem in the format of the path's API."""
    return problem.response() if _is_ours(path) else provider_error(problem)


def _is_ours(path: str) -> bool:
    """Return whether a path belongs to the native API, whether or not it exists.

    That includes misspellings: slashes and dots too many, or capitals.
    """
    usual = normpath(f"/{path.lstrip('/')}").lower()
    return f"{usual}/".startswith(_OUR_ROOTS)


def provider_error(problem: Problem) -> JsonAnswer:
    """Return a problem as a response in the provider's format."""
    if problem.kind in _KEY_PROBLEMS:
        return JsonAnswer({"detail": _KEY_PROBLEMS[problem.kind]}, HTTPStatus.FORBIDDEN)
    status, detail = problem.status, _detail(problem)
    if isinstance(detail, list):
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    return JsonAnswer({"detail": detail}, status.value, headers=dict(problem.headers))


def _detail(problem: Problem) -> Any:
    if problem.kind == "invalid-json":
        return [{"loc": ["body"], "msg": problem.detail, "type": "json_invalid"}]
    if problem.kind == "invalid-fields":
        return [_error(field_error) for field_error in problem.errors]
    return problem.detail


def _error(field_error: FieldError) -> dict[str, Any]:
    """Return one validation error (BFL OpenAPI, ValidationError)."""
    if field_error.detail == "is missing":
        return {"loc": _location(field_error.field), "msg": "Field required", "type": "missing"}
    message = f"Value error, it {field_error.detail}; allowed: {field_error.allowed}"
    return {"loc": _location(field_error.field), "msg": message, "type": "value_error"}


def _location(field: str) -> list[str | int]:
    place = _PLACES.get(field, field)
    for ours, theirs in (("input.", "body"), ("query.", "query")):
        if place.startswith(ours):
            found = _POSITIONS.fullmatch(place.removeprefix(ours))
            name, positions = found.groups() if found else (place.removeprefix(ours), "")
            return [theirs, name, *map(int, re.findall("[0-9]+", positions))]
    return ["body"] if place in ("body", "input") else ["body", place]
