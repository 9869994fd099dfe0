"""`/v1/batches`: accept, show, list, cancel and retry batches."""

import time
from http import HTTPStatus
from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from core.batches.batch import RESULTS_TYPE, Batch, BatchStatus
from core.batches.plans import BatchPlans
from core.batches.views import batch_view
from core.errors import BacklogFull, CannotSendAgain
from core.jobs.status import CallbackState
from service.api.dead_letters import send_again
from service.api.job_lists import list_page
from service.api.results import lead, link_query
from service.http.auth import tenant_of
from service.http.caller_values import shown
from service.http.origin import batch_path
from service.http.problems import FieldError, JsonAnswer, Problem, backlog_full, invalid
from service.http.query_parameters import refuse_all, repeated, unknown
from service.intake.intake import idempotency_key
from service.ownership import owned_batch
from service.state import State
from service.watch.waiting import applied, wait_for_end, wait_if_possible, wait_of

_FRESH: Final = {"cache-control": "no-store"}
_PARAMETERS: Final = ("callback", "limit", "cursor")
_USUAL_PAGE: Final = 20
MAX_PAGE_SIZE: Final = 100
_LONGEST_CURSOR: Final = 36  # characters of a UUID


async def create_or_list_batches(request: Request[State]) -> Response:
    """Accept a batch (POST), or return one page of the caller's (GET)."""
    if request.method == "POST":
        return await create_batch(request)
    return await list_batches(request)


async def create_batch(request: Request[State]) -> Response:
    """Accept a batch; 202 only once all of it is on disk."""
    state = request.state
    tenant = tenant_of(request, state["settings"].api_keys)
    refuse_all(request, wait="leave it out; GET /v1/batches/{id} takes it")
    key = idempotency_key(request.headers)
    accepted = await state["batches"].accept(request, tenant, key)
    stored, complaints = accepted.stored, accepted.complaints
    headers = {"location": batch_path(request, stored.id)}
    if not stored.fresh:
        headers["idempotency-replayed"] = "true"
    view = _view(stored.batch) if stored.batch else {"id": stored.id}
    rejected = {"rejected": complaints.view(), "rejected_total": complaints.total}
    return JsonAnswer(view | rejected, HTTPStatus.ACCEPTED, headers=headers)


async def show_batch(request: Request[State]) -> Response:
    """Return a batch to its tenant, if asked only once it is completed; to others there is none."""
    state, batch = request.state, await owned_batch(request)
    seconds, must = wait_of(request)
    if seconds and batch.ended_at is None:
        wait = wait_for_end if must else wait_if_possible
        plans = BatchPlans(state["store"])

        async def load() -> Batch | None:
            return await state["async_store"].execute(plans.load(batch.id))

        tenant = batch.request.tenant
        found, seconds = await wait(
            state["hub"], request, batch.id, batch, load, tenant=tenant, seconds=seconds
        )
        batch = found or batch
    return JsonAnswer(_view(batch), headers=_FRESH | applied(seconds))


async def list_batches(request: Request[State]) -> Response:
    """Return one page of the caller's batches, the newest first."""
    state = request.state
    tenant = tenant_of(request, state["settings"].api_keys)
    asked = _query(request.query_params)
    plan = BatchPlans(state["store"]).page(tenant, *asked)
    page = await state["async_store"].execute(plan)
    view = {"batches": [_view(one) for one in page.batches], "next_cursor": page.cursor}
    return JsonAnswer(view, headers=_FRESH)


async def list_batch_jobs(request: Request[State]) -> Response:
    """Return one page of the batch's jobs, as `GET /v1/jobs` does; items become jobs by and by."""
    batch = await owned_batch(request)
    return await list_page(request, batch=batch.id)


async def send_batch_results(request: Request[State]) -> Response:
    """Lead to the results file of a completed batch."""
    batch = await owned_batch(request)
    asked = link_query(request)
    if batch.results is None:
        ended = batch.status is BatchStatus.COMPLETED
        detail = "could not be stored" if ended else "is stored when all of its jobs have ended"
        raise Problem(HTTPStatus.CONFLICT, "no-result", f"The results file of the batch {detail}")
    file = {**batch.results, "content_type": RESULTS_TYPE}
    return await lead(request, batch.request.tenant, file, *asked)


async def cancel_batch(request: Request[State]) -> Response:
    """Cancel what can be of a batch; 200 only once that is on disk."""
    batch = await owned_batch(request)
    refuse_all(request)
    await request.state["batch_lifecycle"].cancel(batch)
    return JsonAnswer(_view(await owned_batch(request)), headers=_FRESH)


async def retry_batch(request: Request[State]) -> Response:
    """Retry what failed in a batch as a new batch; 202 only once that is on disk."""
    batch = await owned_batch(request)
    refuse_all(request)
    try:
        stored = await request.state["batch_lifecycle"].retry(batch)
    except CannotSendAgain as error:
        raise Problem(HTTPStatus.CONFLICT, "cannot-send-again", str(error)) from None
    except BacklogFull:
        raise backlog_full(request.state["settings"].max_backlog) from None
    view = _view(stored.batch) if stored.batch else {"id": stored.id}
    headers = {"location": batch_path(request, stored.id)}
    return JsonAnswer(view, HTTPStatus.ACCEPTED, headers=headers)


async def resend_batch_callback(request: Request[State]) -> Response:
    """Send the callback of a completed batch again; 202 only once that is on disk."""
    state, batch = request.state, await owned_batch(request)
    refuse_all(request)
    await send_again(state, state["dead_letters"].resend, batch)
    headers = {"location": batch_path(request, batch.id)}
    return JsonAnswer(_view(await owned_batch(request)), HTTPStatus.ACCEPTED, headers=headers)


def _view(batch: Batch) -> dict[str, Any]:
    return batch_view(batch, time.time())


def _query(query: QueryParams) -> tuple[int, str | None, CallbackState | None]:
    """Parse the query; raises a `Problem` with everything that is wrong."""
    errors = [*unknown(query, _PARAMETERS), *repeated(query, _PARAMETERS)]
    limit, cursor = query.get("limit"), query.get("cursor")
    size = int(limit) if limit and limit.isascii() and limit.isdigit() and len(limit) < 4 else 0  # noqa: PLR2004
    if limit is not None and not 1 <= size <= MAX_PAGE_SIZE:
        allowed = f"a whole number from 1 to {MAX_PAGE_SIZE}"
        errors.append(FieldError("query.limit", f"is {shown(limit)}", allowed, f"send {allowed}"))
    is_cursor = cursor is None or (
        len(cursor) == _LONGEST_CURSOR and set(cursor) <= set("0123456789abcdef-")
    )
    if not is_cursor:
        allowed = "a next_cursor of an earlier page"
        errors.append(FieldError("query.cursor", f"is {shown(cursor)}", allowed, f"send {allowed}"))
    state = query.get("callback")
    if state is not None and state not in list(CallbackState):
        allowed = f"one of {', '.join(CallbackState)}"
        detail = f"is {shown(state)}"
        errors.append(FieldError("query.callback", detail, allowed, f"send {allowed}"))
    if errors:
        raise invalid(errors)
    return size or _USUAL_PAGE, cursor, CallbackState(state) if state else None
