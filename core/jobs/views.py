"""The public view of a job, shared by the API, callbacks and docs."""

from collections.abc import Mapping
from typing import Any

from core.jobs.callback_events import ENDS
from core.jobs.input_places import with_values
from core.jobs.job import Job
from core.jobs.status import Status
from core.timestamps import milliseconds


def timestamp(at: float | None) -> str | None:
    """Format Unix time as ISO 8601 in UTC with milliseconds."""
    return None if at is None else milliseconds(at)


def job_view(job: Job, queue: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the job as its caller may see it, without secrets and signed URLs.

    Args:
        job: The job.
        queue: Where it stands in line, if it waits and somebody looked.
    """
    request = job.request
    files = {place: {"bytes_in": "s3"} for place in request.input_keys}
    return {
        "id": job.id,
        "model": request.model,
        "status": job.status,
        "input": with_values(request.input, files),
        "metadata": dict(request.metadata),
        "region": request.region,
        "priority": request.priority,
        "regenerate": request.regenerate,
        "max_resubmits": request.max_resubmits,
        "created_at": timestamp(request.created_at),
        "deadline_at": timestamp(request.deadline_at),
        "ended_at": timestamp(job.ended_at),
        "timeline": [{"status": status, "at": timestamp(at)} for status, at in job.timeline],
        "image": _stored(job, image) if (image := job.image) else None,
        "artifacts": [_stored(job, artifact) for artifact in job.artifacts],
        "error": dict(job.error) if job.error else None,
        "waiting": _waiting(job),
        "queue": dict(queue) if queue else None,
        "batch": {"id": request.batch, "custom_id": request.custom_id} if request.batch else None,
        "retry_of": request.retry_of,
        "retried_as": job.retried_as,
        "callback": _callback(job),
        "provider": {
            "id": job.provider_id,
            "seed": job.seed,
            "cost": job.cost,
            "discarded": job.discarded,
            "input_megapixels": job.input_megapixels,
            "output_megapixels": job.output_megapixels,
            "resubmits": job.resubmits,
            "expired": _expired(job),
        },
    }


def _waiting(job: Job) -> dict[str, Any] | None:
    """Return what delays an unfinished job, or None if nothing does."""
    if job.status is Status.STORING and job.waiting:
        return {
            "for": job.waiting["for"],
            "since": timestamp(job.waiting["since"]),
            "until": timestamp(job.result_expires_at),
            "last_problem": job.waiting["last_problem"],
        }
    if job.status is Status.SUBMITTING and job.doubt_until is not None:
        return {
            "for": "provider",
            "since": timestamp(job.posting_at),
            "until": timestamp(job.doubt_until),
            "last_problem": job.doubt_reason,
        }
    return None


def _stored(job: Job, artifact: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored file as its caller sees it."""
    uri = f"s3://{artifact['bucket']}/{artifact['key']}"
    return {"uri": uri, **artifact, "margin_seconds": job.margin}


def _expired(job: Job) -> dict[str, Any] | None:
    """Return the first provider task of a job that was regenerated."""
    return {"id": job.expired_id, "cost": job.expired_cost} if job.regenerations else None


def _callback(job: Job) -> dict[str, Any] | None:
    request = job.request
    if not request.callback_url:
        return None
    return {
        "url": request.callback_url,
        "events": list(request.callback_events or ENDS),
        "state": job.callback_state,
        "attempts": job.callback_attempts,
        "log": [dict(entry) | {"at": timestamp(entry["at"])} for entry in job.callback_log],
    }
