"""`GET /v1/dead-letters`, and retries of failed jobs and callbacks."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from core.batches.views import batch_view
from core.errors import BacklogFull, CannotSendAgain
from core.jobs.failures import FailureCode
from core.jobs.views import job_view, timestamp
from core.operations.dead_letter_list import (
    MAX_PAGE_SIZE,
    Cursor,
    DeadLetter,
    Kind,
    LetterFilter,
    Record,
)
from service.http.auth import tenant_of
from service.http.caller_values import shown
from service.http.origin import job_path
from service.http.problems import FieldError, JsonAnswer, Problem, backlog_full, invalid
from service.http.query_parameters import refuse_all, repeated, unknown
from service.intake.storage_threads import ThreadPool
from service.ownership import owned_batch, owned_job
from service.state import State

_FRESH: Final = {"cache-control": "no-store"}
_PARAMETERS: Final = ("kind", "code", "limit", "cursor")
_USUAL_PAGE: Final = 50
_Value = TypeVar("_Value")
_Owned = TypeVar("_Owned")


async def list_dead_letters(request: Request[State]) -> Response:
    """Return one page of the caller's dead letters, the oldest first."""
    tenant = tenant_of(request, request.state["settings"].api_keys)
    wanted, limit, cursor = _query_filter(tenant, request.query_params)
    page = await run_in_threadpool(request.state["dead_letters"].page, wanted, limit, cursor)
    view = {
        "dead_letters": [letter_view(letter) for letter in page.letters],
        "next_cursor": str(page.cursor) if page.cursor else None,
    }
    return JsonAnswer(view, headers=_FRESH)


async def retry_job(request: Request[State]) -> Response:
    """Retry a failed job as a new job; 202 only once that is on disk."""
    state = request.state
    job = await owned_job(request)
    refuse_all(request)
    # Its inputs are copied in S3, which may be slow.
    threads = state["image_threads" if job.request.input_keys else "intake_threads"]
    job_id = await send_again(state, state["dead_letters"].retry, job, threads)
    again = await run_in_threadpool(state["intake"].record, job_id)
    view = job_view(again) if again else {"id": job_id}
    return JsonAnswer(view, HTTPStatus.ACCEPTED, headers={"location": job_path(request, job_id)})


async def resend_callback(request: Request[State]) -> Response:
    """Send the callback of an ended job again; 202 only once that is on disk."""
    state = request.state
    job = await owned_job(request)
    refuse_all(request)
    await send_again(state, state["dead_letters"].resend, job)
    now = await run_in_threadpool(state["intake"].record, job.id)
    location = {"location": job_path(request, job.id)}
    return JsonAnswer(job_view(now or job), HTTPStatus.ACCEPTED, headers=location)


async def dismiss_dead_letter(request: Request[State]) -> Response:
    """Remove a dead letter from the list; succeeds also if it is not listed."""
    kind = request.path_params["kind"]
    about: Record
    if kind == Kind.BATCH:
        about = await owned_batch(request, "id")
    else:
        about = await owned_job(request, "id")
    refuse_all(request)
    if kind not in list(Kind):
        detail = f"There is no such kind of dead letter; use one of {', '.join(Kind)}"
        raise Problem(HTTPStatus.NOT_FOUND, "not-found", detail)
    letter = DeadLetter(Kind(kind), 0.0, about)
    await run_in_threadpool(request.state["dead_letters"].dismiss, letter)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def letter_view(letter: DeadLetter) -> dict[str, Any]:
    """Return a dead letter as its caller may see it."""
    job, batch = letter.job, letter.batch
    return {
        "kind": letter.kind,
        "at": timestamp(letter.at),
        "job": job_view(job) if job else None,
        # Only a batch that runs has an estimate, which is all that depends on the time.
        "batch": batch_view(batch, letter.at) if batch else None,
    }


async def send_again(
    state: State,
    action: Callable[[_Owned], _Value],
    record: _Owned,
    threads: ThreadPool | None = None,
) -> _Value:
    """Send a job, or the callback of a job or batch, again.

    Args:
        state: The state of the application.
        action: Does it, blocking.
        record: The job or the batch.
        threads: Run it in place of the usual ones.

    Raises:
        Problem: 409 if that is impossible, 429 if the backlog is full.
    """
    try:
        return await (threads or state["intake_threads"]).run(action, record)
    except CannotSendAgain as error:
        raise Problem(HTTPStatus.CONFLICT, "cannot-send-again", str(error)) from None
    except BacklogFull:
        raise backlog_full(state["settings"].max_backlog) from None


def _query_filter(tenant: str, query: QueryParams) -> tuple[LetterFilter, int, Cursor | None]:
    """Parse the query; raises a `Problem` with everything that is wrong."""
    errors = [*unknown(query, _PARAMETERS), *repeated(query, _PARAMETERS)]
    kinds, codes = f"one of {', '.join(Kind)}", f"one of {', '.join(FailureCode)}"
    kind = _value(query, "kind", Kind, kinds, errors)
    code = _value(query, "code", FailureCode, codes, errors)
    sizes = f"a whole number from 1 to {MAX_PAGE_SIZE}"
    limit = _value(query, "limit", _page_length, sizes, errors)
    cursor = _value(query, "cursor", Cursor.parse, "a next_cursor of an earlier page", errors)
    if errors:
        raise invalid(errors)
    return LetterFilter(tenant=tenant, kind=kind, code=code), limit or _USUAL_PAGE, cursor


def _value(
    query: QueryParams,
    name: str,
    parse: Callable[[str], _Value],
    allowed: str,
    errors: list[FieldError],
) -> _Value | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError:
        fix = f"send {allowed}, or leave it out"
        errors.append(FieldError(f"query.{name}", f"is {shown(text)}", allowed, fix))
        return None


def _page_length(text: str) -> int:
    lengths: Iterable[int] = range(1, MAX_PAGE_SIZE + 1)
    if text not in map(str, lengths):
        raise ValueError(text)
    return int(text)
