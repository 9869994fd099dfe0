"""`POST /v1/jobs/cancel`: cancels the caller's jobs that a filter admits."""

from dataclasses import replace
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from core.batches.plans import MOST_AT_ONCE, BatchPlans
from core.jobs.job import JobId
from core.jobs.status import Status, predecessors
from core.operations.cancel_many import cancel_all
from core.operations.job_lists import JobFilter, JobLists
from core.settings.settings import Settings
from service.api.job_filters import FilterReader, unknown
from service.body.json_body import parse_json
from service.body.request_body import read_body
from service.http.auth import tenant_of
from service.http.caller_values import kind_of, shown
from service.http.problems import FieldError, JsonAnswer, Problem, invalid
from service.http.query_parameters import refuse_all
from service.intake.lenient_values import whole
from service.state import State

#: Most jobs that one request cancels.
MOST_CANCELED: Final = 10_000
#: Most bytes of a body.
LARGEST_BODY: Final = 65_536
_FILTERS: Final = ("status", "model", "created_after", "created_before", "batch", "metadata")
_NAMES: Final = (*_FILTERS, "all", "confirm")


async def cancel_jobs(request: Request[State]) -> Response:
    """Cancel the jobs that a filter admits, if they are as many as the caller says."""
    state = request.state
    tenant = tenant_of(request, state["settings"].api_keys)
    refuse_all(request, confirm="send it in the body")
    body = parse_json(await read_body(request, LARGEST_BODY))
    wanted, confirm = _body_filter(tenant, body, state["settings"])
    await _expand(state, wanted)
    found = await run_in_threadpool(_found, state["job_lists"], wanted)
    if len(found) > MOST_CANCELED:
        raise _too_many()
    if len(found) != confirm:
        count = f"{len(found)} job{' matches' if len(found) == 1 else 's match'}"
        fix = f"if you mean these, repeat it with confirm: {len(found)}"
        detail = f"{count}, and confirm is {confirm}; nothing was canceled, {fix}"
        members = {"count": len(found)}
        raise Problem(HTTPStatus.CONFLICT, "confirm-mismatch", detail, members=members)
    canceled = await cancel_all(state["async_store"], found)
    view = {"canceled": canceled, "not_canceled": len(found) - canceled}
    return JsonAnswer(view, headers={"cache-control": "no-store"})


async def _expand(state: State, wanted: JobFilter) -> None:
    """Make jobs of accepted items first, so that what matches is counted and canceled alike.

    Raises:
        Problem: There are more of them than one request cancels.
    """
    if Status.QUEUED not in wanted.statuses:
        return
    plans = BatchPlans(state["store"])
    for _ in range(MOST_CANCELED // MOST_AT_ONCE + 1):
        if not await state["async_store"].execute(plans.expand(wanted.tenant, wanted.batch)):
            return
    # Which of them match would be known only of jobs.
    if wanted.model is None and not wanted.metadata and not wanted.is_about_times:
        raise _too_many()
    detail = (
        f"More than {MOST_CANCELED} items of your batches were no jobs yet; nothing was canceled, "
        "they are made jobs first, so repeat it after Retry-After"
    )
    headers = {"retry-after": "1"}
    raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, headers=headers)


def _too_many() -> Problem:
    detail = f"More than {MOST_CANCELED} jobs match; nothing was canceled, narrow the filter"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "too-many-jobs", detail)


def _found(lists: JobLists, wanted: JobFilter) -> list[JobId]:
    """Return the matching jobs that can be canceled; one more than can be canceled at a time."""
    statuses = wanted.statuses & predecessors(Status.CANCELED)
    if not statuses:
        return []
    ids = lists.ids(replace(wanted, statuses=statuses))
    return list(islice(ids, MOST_CANCELED + 1))


def _body_filter(tenant: str, body: Any, settings: Settings) -> tuple[JobFilter, int]:
    """Parse the body; raises a `Problem` with everything that is wrong."""
    if not isinstance(body, dict):
        allowed = "an object with filters and confirm"
        raise invalid([FieldError("body", f"is {kind_of(body)}", allowed, "send an object")])
    reader = FilterReader(settings)
    unknown((name for name in body if name not in _NAMES), _NAMES, reader)
    given = {name: body[name] for name in _FILTERS if name in body}
    _check_extent(body, given, reader)
    if not isinstance(given.get("status", []), list):
        detail = f"is {kind_of(given.pop('status'))}"
        reader.refuse("status", detail, "an array of statuses")
    wanted = reader.filter(tenant, given, given.get("metadata"))
    confirm = whole(body.get("confirm"))
    if not isinstance(confirm, int) or isinstance(confirm, bool) or confirm < 0:
        detail = "is missing" if confirm is None else f"is {shown(confirm)}"
        allowed = "the number of jobs that are to be canceled"
        reader.refuse("confirm", detail, allowed, "send 0 to learn the number")
    if reader.errors:
        raise invalid(reader.errors)
    return wanted, int(confirm)


def _check_extent(body: dict[str, Any], given: dict[str, Any], reader: FilterReader) -> None:
    """Require a filter, or else the word that every job is meant: a mistake must not cancel all."""
    for name in [name for name, value in given.items() if value in (None, {})]:
        value = given.pop(name)
        detail = "is null" if value is None else "is empty"
        reader.refuse(name, detail, "a value to filter by", "send one, or leave it out")
    every, allowed = body.get("all"), "true, in place of filters"
    if "all" in body and every is not True:
        reader.refuse("all", f"is {shown(every)}", allowed)
    elif "all" in body and given:
        reader.refuse("all", "is given beside a filter", allowed, "leave one of both out")
    elif not ("all" in body or given or reader.errors):
        fix = "name the jobs by a filter, or send all: true"
        reader.refuse("all", "is missing, and so is every filter", "a filter, or all: true", fix)
