"""Loads the job or batch of a request; those of other tenants do not exist to it."""

from http import HTTPStatus

from starlette.requests import Request

from core.batches.batch import Batch, BatchId
from core.batches.plans import BatchPlans
from core.jobs.job import Job, JobId
from service.http.auth import tenant_of
from service.http.problems import Problem
from service.state import State


async def owned_job(request: Request[State], parameter: str = "job_id") -> Job:
    """Return the job named by the path.

    Args:
        request: The request.
        parameter: The part of the path that is the job's id.

    Raises:
        Problem: 401 for a missing or wrong key, 404 if the caller has no such job.
    """
    tenant = tenant_of(request, request.state["settings"].api_keys)
    job_id = JobId(request.path_params[parameter])
    job = await request.state["async_store"].load(job_id)
    if job is None or job.request.tenant != tenant:
        raise no_such_job()
    return job


async def owned_batch(request: Request[State], parameter: str = "batch_id") -> Batch:
    """Return the batch named by the path.

    Args:
        request: The request.
        parameter: The part of the path that is the batch's id.

    Raises:
        Problem: 401 for a missing or wrong key, 404 if the caller has no such batch.
    """
    state = request.state
    tenant = tenant_of(request, state["settings"].api_keys)
    batch_id = BatchId(request.path_params[parameter])
    batch = await state["async_store"].execute(BatchPlans(state["store"]).load(batch_id))
    if batch is None or batch.request.tenant != tenant:
        detail = "There is no such batch, or it is not yours; batches are kept for a limited time"
        raise Problem(HTTPStatus.NOT_FOUND, "no-such-batch", detail)
    return batch


def no_such_job() -> Problem:
    """Return the problem of a job that does not exist, or is not the caller's."""
    detail = "There is no such job, or it is not yours; ended jobs are kept for a limited time"
    return Problem(HTTPStatus.NOT_FOUND, "no-such-job", detail)
