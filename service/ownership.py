"""Loads the job of a request; jobs of other tenants do not exist to it."""

from http import HTTPStatus

from starlette.requests import Request

from core.jobs.job import Job, JobId
from service.http.auth import tenant_of
from service.http.problems import Problem
from service.state import State


async def owned_job(request: Request[State]) -> Job:
    """Return the job named by the path.

    Raises:
        Problem: 401 for a missing or wrong key, 404 if the caller has no such job.
    """
    tenant = tenant_of(request, request.state["settings"].api_keys)
    job_id = JobId(request.path_params["job_id"])
    job = await request.state["async_store"].load(job_id)
    if job is None or job.request.tenant != tenant:
        raise no_such_job()
    return job


def no_such_job() -> Problem:
    """Return the problem of a job that does not exist, or is not the caller's."""
    detail = "There is no such job, or it is not yours; ended jobs are kept for a limited time"
    return Problem(HTTPStatus.NOT_FOUND, "no-such-job", detail)
