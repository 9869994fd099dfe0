"""The provider's own API, for clients that change nothing but their base URL.

A task is a job: its id is the job's id, and `GET /v1/jobs/{id}` shows it.
"""

from functools import partial
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from core.jobs.drop_in_views import submission_view, task_view, unknown_task_view
from core.jobs.job import JobId
from core.provider.catalogue import Model
from service.admission import accept_job
from service.drop_in.errors import Endpoint, with_provider_errors
from service.drop_in.request_body import parse_flat
from service.http.auth import tenant_of
from service.http.origin import origin_of
from service.http.problems import FieldError, JsonAnswer, Problem, invalid
from service.http.query_parameters import only_value
from service.intake.intake import idempotency_key
from service.state import State

_FRESH = {"cache-control": "no-store"}


def submit_to(model: Model) -> Endpoint:
    """Return the submit endpoint of a model."""

    @with_provider_errors
    async def submit(request: Request[State]) -> Response:
        return await _submit(request, model)

    return submit


async def _submit(request: Request[State], model: Model) -> Response:
    """Accept a job from a flat body; answers once it is on disk."""
    state = request.state
    settings = state["settings"]
    tenant = tenant_of(request, settings.api_keys)
    key = idempotency_key(request.headers)
    origin = _origin(request)
    parse = partial(parse_flat, model=model, origin=origin)
    async with state["bodies"].read(request, tenant, parents=()) as body:
        accepted = await accept_job(state, tenant, body, key, parse)
    headers = {} if accepted.fresh else {"idempotency-replayed": "true"}
    return JsonAnswer(submission_view(accepted.job_id, accepted.job, origin), headers=headers)


def _origin(request: Request[State]) -> str:
    """Return the origin for links in the response."""
    settings = request.state["settings"]
    origin = origin_of(request, settings.trusted_proxies, settings.public_url)
    request.state["proxy_hint"].look(request, origin)
    return origin


@with_provider_errors
async def get_result(request: Request[State]) -> Response:
    """Return a task to its tenant; to others it does not exist.

    The provider requires no key here. We do: its clients send theirs anyway, and ids appear in logs
    and webhooks, unlike keys.
    """
    state = request.state
    settings = state["settings"]
    tenant = tenant_of(request, settings.api_keys)
    task_id = only_value(request.query_params, "id")
    if task_id is None:
        raise invalid([FieldError("query.id", "is missing", "a task's id", "add ?id=…")])
    job = await run_in_threadpool(state["store"].load, JobId(task_id))
    if job is None or job.request.tenant != tenant:
        return JsonAnswer(unknown_task_view(task_id), HTTPStatus.NOT_FOUND, headers=_FRESH)
    origin = _origin(request)
    master = settings.webhook_secrets[0].reveal()
    return JsonAnswer(task_view(job, origin, master), headers=_FRESH)


@with_provider_errors
async def show_credits(request: Request[State]) -> Response:
    """Return the credits that the provider last reported; this process never asks it."""
    state = request.state
    tenant_of(request, state["settings"].api_keys)
    credit = await run_in_threadpool(state["accounts"].credits)
    if credit is None:
        detail = "It is not known yet how many credits are left; try again later"
        headers = {"retry-after": "60"}
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unknown-credits", detail, headers=headers)
    return JsonAnswer({"credits": credit}, headers=_FRESH)
