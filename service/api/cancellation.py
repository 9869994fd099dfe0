"""`POST /v1/jobs/{id}/cancel` and `DELETE /v1/jobs/{id}`: cancels one job."""

from collections.abc import Awaitable
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from core.jobs.views import job_view
from core.operations.cancellation import Outcome, prepare_cancel
from service.api.jobs import show_job
from service.http.problems import JsonAnswer, Problem
from service.http.query_parameters import refuse_all
from service.ownership import no_such_job, owned_job
from service.state import State

_FRESH: Final = {"cache-control": "no-store"}


async def cancel_job(request: Request[State]) -> Response:
    """Cancel a job; 200 only once that is on disk. One that has ended is returned as it is."""
    state = request.state
    job = await owned_job(request)
    refuse_all(request)
    store = state["async_store"]
    outcome = await store.execute(prepare_cancel(store.transitions, job.id))
    if outcome is Outcome.STORING:
        detail = "The job's result is being stored, so it cannot be canceled any more; wait for it"
        raise Problem(HTTPStatus.CONFLICT, "cannot-cancel", detail)
    now = await store.load(job.id)
    if now is None:
        raise no_such_job()
    return JsonAnswer(job_view(now), headers=_FRESH)


def show_or_cancel_job(request: Request[State]) -> Awaitable[Response]:
    """Answer all methods of a job's own path: with one route, `Allow` names all of them."""
    return (cancel_job if request.method == "DELETE" else show_job)(request)
