"""`GET /v1/jobs/{id}/events` and `GET /v1/events`: server-sent events."""

import re
from functools import partial
from http import HTTPStatus
from typing import Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from core.jobs.status import Status
from core.redis.events.event import EventId
from service.api.job_filters import FilterReader, unknown
from service.http.auth import tenant_of
from service.http.caller_values import shown
from service.http.problems import FieldError, invalid
from service.http.query_parameters import repeated
from service.ownership import owned_job
from service.state import State
from service.watch.frames import EventsAnswer
from service.watch.job_events import job_events
from service.watch.tenant_events import Wanted, tenant_events

_STATUSES: Final = frozenset(Status)
_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)
_HEADER: Final = "last-event-id"
_LAST: Final = "last_event_id"


async def watch_job(request: Request[State]) -> Response:
    """Stream the statuses of a job until it has ended.

    A client that knows the last one of an ended job is answered 204, so that a browser does not
    come again.
    """
    job = await owned_job(request)
    reader, query = _reader(request, _LAST), request.query_params
    asked = query.get(_LAST)
    if asked is not None and not _NUMBER.fullmatch(asked):
        reader.refuse(_LAST, f"is {shown(asked)}", "the id of an event of this job, a number")
    if reader.errors:
        raise invalid(reader.errors)
    known = len(job.timeline)
    sent = min(_sent(request.headers.get(_HEADER) or asked, known), known)
    if job.ended_at is not None and sent == known:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"cache-control": "no-store"})
    load = partial(request.state["async_store"].load, job.id)
    return EventsAnswer(job_events(request.state["hub"], request, job, load, sent))


async def watch_all(request: Request[State]) -> Response:
    """Stream the events of all jobs of the caller."""
    state = request.state
    tenant = tenant_of(request, state["settings"].api_keys)
    reader, query = _reader(request, "status", "batch", _LAST), request.query_params
    asked = query.get(_LAST)
    if asked is not None and EventId.parse(asked) is None:
        reader.refuse(_LAST, f"is {shown(asked)}", "the id of an event")
    batch = reader.identifier("batch", query.get("batch"))
    statuses = _statuses(query, reader)
    if reader.errors:
        raise invalid(reader.errors)
    # In the header, which a browser sends by itself, an unknown id is answered by an event `reset`.
    last = request.headers.get(_HEADER) or asked
    wanted = Wanted(tenant, statuses, batch, last)
    return EventsAnswer(tenant_events(state["hub"], state["events"], request, wanted))


def _sent(last: str | None, known: int) -> int:
    """Return the number of the last status that is not sent again.

    Args:
        last: The id of the last event that the client knows; None: it begins with the newest.
        known: The number of the newest status.
    """
    if last is None:
        return known - 1
    # A client with an id of another kind may have missed anything, so it is sent everything.
    return int(last) if _NUMBER.fullmatch(last) else 0


def _reader(request: Request[State], *names: str) -> FilterReader:
    """Return a reader that has refused unknown parameters, and those that come more than once."""
    query = request.query_params
    reader = FilterReader(request.state["settings"], "query.")
    unknown((name for name in dict.fromkeys(query) if name not in names), names, reader)
    reader.errors += repeated(query, [name for name in names if name != "status"])
    return reader


def _statuses(query: QueryParams, reader: FilterReader) -> frozenset[str] | None:
    """Return the statuses of the events that the client wants; None: all."""
    given = query.getlist("status")
    names = frozenset(name.strip() for text in given for name in text.split(","))
    if unknown_names := sorted(names - _STATUSES):
        allowed = ", ".join(Status)
        problem = f"has unknown values: {', '.join(unknown_names)[:200]}"
        reader.errors.append(
            FieldError("query.status", problem, allowed, f"send some of {allowed}")
        )
    return names or None
