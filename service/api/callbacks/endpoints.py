"""`GET /v1/callbacks`, and what is done to many callbacks, or to none yet: replay and test."""

from http import HTTPStatus
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from core.jobs.callback_events import CallbackEvent
from core.jobs.views import timestamp
from core.operations.callbacks import attempts
from core.operations.callbacks.attempts import MAX_PAGE_SIZE, Attempt, AttemptFilter, Outcome
from core.settings.settings import Settings
from service.api.job_filters import FilterReader, unknown
from service.body.json_body import parse_json
from service.body.request_body import read_body
from service.http.auth import tenant_of
from service.http.caller_values import kind_of, shown
from service.http.problems import FieldError, JsonAnswer, invalid
from service.http.query_parameters import refuse_all, repeated
from service.state import State

_FRESH: Final = {"cache-control": "no-store"}
_USUAL_PAGE: Final = 20
_PARAMETERS: Final = ("job", "batch", "outcome", "type", "since", "until", "limit", "cursor")
_REPLAY_FIELDS: Final = ("since", "until")
_LARGEST_BODY: Final = 8192  # bytes


async def list_callbacks(request: Request[State]) -> Response:
    """Return one page of the attempts at the caller's callbacks, newest first."""
    settings = request.state["settings"]
    tenant = tenant_of(request, settings.api_keys)
    wanted, limit, cursor = _query_filter(tenant, request.query_params, settings)
    store = request.state["store"]
    found, behind = await run_in_threadpool(attempts.page, store, wanted, limit, cursor)
    view = {"attempts": [attempt_view(one) for one in found], "next_cursor": behind}
    return JsonAnswer(view, headers=_FRESH)


async def replay_callbacks(request: Request[State]) -> Response:
    """Send again the caller's callbacks that were given up since a time; 202 once that is on disk.

    At most `MOST_REPLAYED` at a time; `more` says whether others are left. It is safe to repeat.
    """
    settings = request.state["settings"]
    tenant = tenant_of(request, settings.api_keys)
    refuse_all(request, **dict.fromkeys(_REPLAY_FIELDS, "send it in the body"))
    body = parse_json(await read_body(request, _LARGEST_BODY))
    if not isinstance(body, dict):
        allowed = "an object with since"
        raise invalid([FieldError("body", f"is {kind_of(body)}", allowed, "send an object")])
    reader = FilterReader(settings, required=["since"])
    unknown((name for name in body if name not in _REPLAY_FIELDS), _REPLAY_FIELDS, reader)
    since, until = reader.period(*_REPLAY_FIELDS, body)
    if body.get("since") is None:
        reader.refuse("since", "is missing", "the time since which callbacks were given up")
    if reader.errors or since is None:
        raise invalid(reader.errors)
    replayed, more = await request.state["intake_threads"].run(
        request.state["dead_letters"].replay_callbacks, tenant, since / 1000, until and until / 1000
    )
    return JsonAnswer({"replayed": replayed, "more": more}, HTTPStatus.ACCEPTED, headers=_FRESH)


def attempt_view(attempt: Attempt) -> dict[str, Any]:
    """Return an attempt as its caller may see it."""
    return {
        "id": attempt.place,
        "at": timestamp(attempt.at),
        "job_id": attempt.job_id,
        "batch_id": attempt.batch_id,
        "test_id": attempt.test_id,
        "type": attempt.event_type,
        "outcome": attempt.outcome,
        "status": attempt.status,
        "milliseconds": attempt.milliseconds,
        "error": attempt.error,
    }


def _query_filter(
    tenant: str, query: QueryParams, settings: Settings
) -> tuple[AttemptFilter, int, str | None]:
    """Parse the query; raises a `Problem` with everything that is wrong."""
    reader = FilterReader(settings, "query.")
    unknown((name for name in query if name not in _PARAMETERS), _PARAMETERS, reader)
    reader.errors += repeated(query, _PARAMETERS)
    outcome = _choice(query, "outcome", tuple(Outcome), reader)
    since, until = reader.period("since", "until", query)
    wanted = AttemptFilter(
        tenant=tenant,
        job=reader.identifier("job", query.get("job")),
        batch=reader.identifier("batch", query.get("batch")),
        outcome=Outcome(outcome) if outcome else None,
        event_type=_choice(query, "type", tuple(CallbackEvent), reader),
        since=since,
        until=until,
    )
    limit = _choice(query, "limit", tuple(map(str, range(1, MAX_PAGE_SIZE + 1))), reader)
    cursor = query.get("cursor")
    try:
        cursor = None if cursor is None else attempts.cursor(cursor)
    except ValueError:
        reader.refuse("cursor", f"is {shown(cursor)}", "a next_cursor of an earlier page")
    if reader.errors:
        raise invalid(reader.errors)
    return wanted, int(limit or _USUAL_PAGE), cursor


def _choice(
    query: QueryParams, name: str, allowed: tuple[str, ...], reader: FilterReader
) -> str | None:
    """Return a value that is one of those allowed; None if it is absent, or refused."""
    text = query.get(name)
    if text is None or text in allowed:
        return text
    words = f"one of {', '.join(allowed)}"
    if name == "limit":
        words = f"a whole number from 1 to {MAX_PAGE_SIZE}"
    reader.refuse(name, f"is {shown(text)}", words)
    return None
