"""`POST /v1/jobs`, `GET /v1/jobs/{id}` and the caller's callback secret."""

from functools import partial
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from core.jobs.job import Job
from core.jobs.status import Status
from core.jobs.views import job_view, timestamp
from core.operations.waiting_line import prepare_place
from core.security.signatures import callback_secret
from service.admission import accept_job
from service.http.auth import tenant_of
from service.http.origin import job_path
from service.http.problems import JsonAnswer
from service.http.query_parameters import refuse_all
from service.intake.intake import Parse, idempotency_key
from service.intake.job_request import parse_job
from service.ownership import owned_job
from service.state import State
from service.watch.waiting import (
    applied,
    preferred_wait,
    wait_for_end,
    wait_if_possible,
    wait_of,
)

_CANCEL_AFTER: Final = "cancel-after"


async def create_job(request: Request[State]) -> Response:
    """Accept a job; 202 only once it is on disk.

    With `Prefer: wait=N`, 200 if it then ends within N seconds.
    """
    state = request.state
    tenant = tenant_of(request, state["settings"].api_keys)
    refuse_all(request, wait="leave it out, and send the header Prefer: wait=N")
    key = idempotency_key(request.headers)
    values = request.headers.getlist(_CANCEL_AFTER)
    parse: Parse = partial(parse_job, cancel_after=values) if values else parse_job
    async with state["bodies"].read(request, tenant) as body:
        accepted = await accept_job(state, tenant, body, key, parse)
    headers = {"location": job_path(request, accepted.job_id)}
    if not accepted.fresh:
        headers["idempotency-replayed"] = "true"
    job, status = accepted.job, HTTPStatus.ACCEPTED
    if "prefer" in request.headers and (seconds := preferred_wait(request.headers)):
        load = partial(state["async_store"].load, accepted.job_id)
        job, waited = await wait_if_possible(
            state["hub"], request, accepted.job_id, job, load, tenant=tenant, seconds=seconds
        )
        headers |= applied(waited)
        if job and job.ended_at is not None:
            status = HTTPStatus.OK
    view = job_view(job) if job else {"id": accepted.job_id}
    return JsonAnswer(view, status, headers=headers)


async def show_job(request: Request[State]) -> Response:
    """Return a job to its tenant, if asked only once it has ended; to others it does not exist."""
    job = await owned_job(request)
    seconds, must = wait_of(request)
    if seconds and job.ended_at is None:
        wait = wait_for_end if must else wait_if_possible
        load = partial(request.state["async_store"].load, job.id)
        tenant = job.request.tenant
        found, seconds = await wait(
            request.state["hub"], request, job.id, job, load, tenant=tenant, seconds=seconds
        )
        job = found or job
    queue = await _queue(request, job) if job.status is Status.QUEUED else None
    headers = {"cache-control": "no-store", **applied(seconds)}
    return JsonAnswer(job_view(job, queue), headers=headers)


async def _queue(request: Request[State], job: Job) -> dict[str, Any] | None:
    """Return where a job stands in line; None if it has just left it."""
    store = request.state["async_store"]
    place = await store.look(prepare_place(store.transitions, job.id))
    if place is None:
        return None
    return {"position": place.position, "estimated_start_at": timestamp(place.starts_at)}


async def show_callback_secret(request: Request[State]) -> Response:
    """Return the secret that signs this tenant's callbacks (Standard Webhooks).

    While the operator rotates the master secret, callbacks carry one signature per master.
    """
    settings = request.state["settings"]
    tenant = tenant_of(request, settings.api_keys)
    refuse_all(request)
    secrets = [callback_secret(master.reveal(), tenant) for master in settings.webhook_secrets]
    return JsonAnswer(
        {"secret": secrets[0], "previous": secrets[1:]}, headers={"cache-control": "no-store"}
    )
