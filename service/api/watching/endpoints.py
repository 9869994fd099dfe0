"""`GET /v1/jobs/{id}/events` and `GET /v1/events`: server-sent events."""

import re
from functools import partial
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from core.jobs.status import Status
from service.http.auth import tenant_of
from service.http.problems import FieldError, invalid
from service.http.query_parameters import only_value
from service.ownership import owned_job
from service.state import State
from service.watch.frames import EventsAnswer
from service.watch.job_events import job_events
from service.watch.tenant_events import Wanted, tenant_events

_STATUSES: Final = frozenset(Status)
_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)
_HEADER: Final = "last-event-id"


async def watch_job(request: Request[State]) -> Response:
    """Stream the statuses of a job until it has ended.

    A client that knows the last one of an ended job is answered 204, so that a browser does not
    come again.
    """
    job = await owned_job(request)
    last = _last_event(request)
    known = len(job.timeline)
    # Without the number of one of its statuses it begins with the newest.
    sent = int(last) if last and _NUMBER.fullmatch(last) else known - 1
    sent = min(sent, known)
    if job.ended_at is not None and sent == known:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"cache-control": "no-store"})
    load = partial(request.state["async_store"].load, job.id)
    return EventsAnswer(job_events(request.state["hub"], request, job, load, sent))


async def watch_all(request: Request[State]) -> Response:
    """Stream the events of all jobs of the caller."""
    state = request.state
    tenant = tenant_of(request, state["settings"].api_keys)
    wanted = Wanted(
        tenant, _statuses(request), only_value(request.query_params, "batch"), _last_event(request)
    )
    return EventsAnswer(tenant_events(state["hub"], state["events"], request, wanted))


def _last_event(request: Request[State]) -> str | None:
    """Return the id of the last event that the client knows, from the header or the query."""
    asked = only_value(request.query_params, "last_event_id")
    return request.headers.get(_HEADER) or asked or None


def _statuses(request: Request[State]) -> frozenset[str] | None:
    """Return the statuses of the events that the client wants; None: all.

    Raises:
        Problem: One is unknown.
    """
    given = request.query_params.getlist("status")
    names = frozenset(name.strip() for text in given for name in text.split(","))
    if unknown := sorted(names - _STATUSES):
        allowed = ", ".join(Status)
        problem = f"has unknown values: {', '.join(unknown)[:200]}"
        raise invalid([FieldError("query.status", problem, allowed, f"send some of {allowed}")])
    return names or None
