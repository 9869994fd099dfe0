"""Our problems as the provider's error bodies: `{"detail": …}` (BFL OpenAPI, HTTPValidationError).

What is wrong is found once, by the same checks for both faces; only its shape differs here.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from core.errors import StorageUnavailable, StoreUnavailable
from service.http import problems
from service.http.problems import Complaint, JsonAnswer, Problem, crashed, unavailable
from service.state import State

Endpoint = Callable[[Request[State]], Awaitable[Response]]

#: The provider's words for a missing and for a wrong key, which clients look for.
_KEY_PROBLEMS: Final = {
    "missing-key": "Not authenticated",
    "wrong-key": "Not authenticated - Invalid Authentication",
}
#: Where the native face lives; a client of the provider's API that goes astray is told so in the
#: provider's words.
_OUR_ROOTS: Final = ("/v1/jobs/", "/v1/dead-letters/", "/webhooks/")
_OUR_PATHS: Final = frozenset(
    {
        *("/v1/jobs", "/v1/dead-letters", "/v1/callback-secret", "/v1/models"),
        *("/openapi.json", "/docs", "/livez", "/readyz", "/metrics"),
    }
)
#: Where our names for a place differ from theirs.
_PLACES: Final = {"callback": "webhook_url", "callback.url": "webhook_url"}


def in_provider_shapes(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint with its problems told in the provider's bodies."""

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
        except Exception as error:  # noqa: BLE001 - the shape of a crash's answer is the face's too
            return provider_error(crashed(request.url.path, error))

    return answer


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the framework found wrong; what lies below no path of ours is the provider's."""
    if isinstance(error, HTTPException) and not _is_ours(request.scope["path"]):
        phrase = HTTPStatus(error.status_code).phrase
        headers = dict(error.headers or {})
        return JsonAnswer({"detail": phrase}, error.status_code, headers=headers)
    return await problems.on_http_exception(request, error)


def in_shape_of(path: str, problem: Problem) -> Response:
    """Return the answer to a problem that no endpoint told of, in the shape of the path's face."""
    return problem.response() if _is_ours(path) else provider_error(problem)


def _is_ours(path: str) -> bool:
    """Say whether a path belongs to the native face, be there anything at it or not."""
    return path.startswith(_OUR_ROOTS) or path in _OUR_PATHS


def provider_error(problem: Problem) -> JsonAnswer:
    """Return the answer to a request that cannot be served."""
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
        return [_error(complaint) for complaint in problem.complaints]
    return problem.detail


def _error(complaint: Complaint) -> dict[str, Any]:
    """Return one entry of the list (BFL OpenAPI, ValidationError)."""
    if complaint.detail == "is missing":
        return {"loc": _location(complaint.field), "msg": "Field required", "type": "missing"}
    message = f"Value error, it {complaint.detail}; allowed: {complaint.allowed}"
    return {"loc": _location(complaint.field), "msg": message, "type": "value_error"}


def _location(field: str) -> list[str]:
    place = _PLACES.get(field, field)
    for ours, theirs in (("input.", "body"), ("query.", "query")):
        if place.startswith(ours):
            return [theirs, place.removeprefix(ours)]
    return ["body"] if place in ("body", "input") else ["body", place]
