"""`GET /v1/jobs`: one page of the caller's jobs, newest first."""

from collections.abc import Awaitable
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from core.jobs.views import job_view
from core.operations.job_lists import MAX_PAGE_SIZE, Cursor, JobFilter, JobLists
from core.settings.settings import Settings
from service.api.job_filters import FilterReader, unknown
from service.api.jobs import create_job
from service.http.auth import tenant_of
from service.http.caller_values import shown
from service.http.problems import JsonAnswer, invalid
from service.http.query_parameters import repeated
from service.state import State

USUAL_PAGE: Final = 20
_FRESH: Final = {"cache-control": "no-store"}
_ONCE: Final = ("model", "created_after", "created_before", "batch", "limit", "cursor")
_NAMES: Final = ("status", *_ONCE, "metadata.KEY")
_METADATA: Final = "metadata."


async def list_jobs(request: Request[State]) -> Response:
    """Return one page of the caller's jobs."""
    return await list_page(request)


def create_or_list_jobs(request: Request[State]) -> Awaitable[Response]:
    """Answer all methods of this path: with one route, `Allow` names all of them."""
    return (create_job if request.method == "POST" else list_jobs)(request)


async def list_page(request: Request[State], **fixed: str) -> Response:
    """Return one page of the caller's jobs.

    Args:
        request: Its query has the filters.
        fixed: Filters that the path decides; the query may not name them.
    """
    settings = request.state["settings"]
    tenant = tenant_of(request, settings.api_keys)
    wanted, limit, cursor = _query_filter(tenant, request.query_params, settings, fixed)
    view = await run_in_threadpool(_page, request.state["job_lists"], wanted, limit, cursor)
    return JsonAnswer(view, headers=_FRESH)


def _page(lists: JobLists, wanted: JobFilter, limit: int, cursor: Cursor | None) -> dict[str, Any]:
    page = lists.page(wanted, limit, cursor)
    return {
        "jobs": [job_view(job) for job in page.jobs],
        "next_cursor": str(page.cursor) if page.cursor else None,
    }


def _query_filter(
    tenant: str, query: QueryParams, settings: Settings, fixed: dict[str, str]
) -> tuple[JobFilter, int, Cursor | None]:
    """Parse the query; raises a `Problem` with everything that is wrong."""
    reader = FilterReader(settings, "query.")
    names = [name for name in _NAMES if name not in fixed]
    keys = [name for name in query if name.startswith(_METADATA)]
    unknown((name for name in query if name not in names and name not in keys), names, reader)
    reader.errors += repeated(query, [*_ONCE, *keys])
    given: dict[str, Any] = {name: query[name] for name in _ONCE if name in query} | fixed
    if "status" in query:
        given["status"] = [one for text in query.getlist("status") for one in text.split(",")]
    metadata = {name.removeprefix(_METADATA): query[name] for name in keys}
    wanted = reader.filter(tenant, given, metadata)
    limit = _limit(given.get("limit"), reader)
    cursor = _cursor(given.get("cursor"), reader)
    if reader.errors:
        raise invalid(reader.errors)
    return wanted, limit, cursor


def _limit(text: str | None, reader: FilterReader) -> int:
    if text is None:
        return USUAL_PAGE
    if text in map(str, range(1, MAX_PAGE_SIZE + 1)):
        return int(text)
    reader.refuse("limit", f"is {shown(text)}", f"a whole number from 1 to {MAX_PAGE_SIZE}")
    return USUAL_PAGE


def _cursor(text: str | None, reader: FilterReader) -> Cursor | None:
    try:
        return None if text is None else Cursor.parse(text)
    except ValueError:
        reader.refuse("cursor", f"is {shown(text)}", "a next_cursor of an earlier page")
        return None
