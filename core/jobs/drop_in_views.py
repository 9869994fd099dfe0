"""Job views in the provider's own format, for drop-in clients (BFL OpenAPI, ResultResponse)."""

from collections.abc import Mapping
from typing import Any, Final

from core.jobs.failures import FailureCode
from core.jobs.job import SAMPLE, Job, JobId
from core.jobs.status import Status
from core.security.signatures import sample_signature

_PENDING: Final = "Pending"
_READY: Final = "Ready"
_ERROR: Final = "Error"
_NOT_FOUND: Final = "Task not found"
#: Types of content whose second half is a file's extension.
_SHOWN: Final = ("image", "video")
_FAILED: Final[Mapping[str, str]] = {
    FailureCode.REQUEST_MODERATED: "Request Moderated",
    FailureCode.CONTENT_MODERATED: "Content Moderated",
}


def submission_view(job_id: JobId, job: Job | None, origin: str) -> dict[str, Any]:
    """Return the reply to a submit (BFL OpenAPI, AsyncResponse and AsyncWebhookResponse).

    Args:
        job_id: The task's id.
        job: The job; None if it is gone or cannot be read at the moment.
        origin: The service's public origin (`https://host`).
    """
    costs = {"cost": job.cost if job else None, "input_mp": None, "output_mp": None}
    if job and job.request.callback_url:
        url = job.request.callback_url
        return {"id": job_id, "status": _PENDING, "webhook_url": url, **costs}
    return {"id": job_id, "polling_url": f"{origin}/v1/get_result?id={job_id}", **costs}


def task_view(job: Job, origin: str, master: str) -> dict[str, Any]:
    """Return the job as `get_result` and the webhook show it.

    Args:
        job: The job; its id is the task's id.
        origin: The service's public origin for links to files (`https://host`).
        master: The master secret that signs these links.
    """
    view = _task(job.id, _PENDING)
    if job.status is Status.SUCCEEDED:
        view |= {"status": _READY, "result": _result(job, origin, master)}
        # Older models report the cost with the result only; clients read a missing `cost` as
        # unknown.
        view |= {} if job.cost is None else {"cost": job.cost}
    elif job.status in (Status.FAILED, Status.CANCELED):
        error = job.error or {"code": "", "message": "The job was canceled"}
        status = _FAILED.get(error["code"], _ERROR)
        details = dict(error.get("details") or {})
        if status == _ERROR or not details:
            details.setdefault("error", error["message"])
        view |= {"status": status, "details": details}
    return view


def unknown_task_view(task_id: str) -> dict[str, Any]:
    """Return the view of a task that does not exist or belongs to another tenant."""
    return _task(task_id, _NOT_FOUND)


def file_path(job: Job, artifact: Mapping[str, Any], master: str) -> str:
    """Return the signed path and query of a stored file; it needs no API key."""
    name = file_name(job, artifact)
    return f"/v1/samples/{name}?sig={sample_signature(master, name.rpartition('.')[0])}"


def file_name(job: Job, artifact: Mapping[str, Any]) -> str:
    """Return the last part of that path; clients infer the format from its extension."""
    kind, _, form = str(artifact["content_type"]).partition("/")
    role = "" if artifact["role"] == SAMPLE else f".{artifact['role']}"
    return f"{job.id}{role}.{form if kind in _SHOWN else 'bin'}"


def _task(task_id: str, status: str) -> dict[str, Any]:
    return {
        "id": task_id,
        "status": status,
        "result": None,
        "progress": None,
        "details": None,
        "preview": None,
    }


def _result(job: Job, origin: str, master: str) -> dict[str, Any]:
    links = {str(a["role"]): f"{origin}{file_path(job, a, master)}" for a in job.artifacts}
    sent = [at for status, at in job.timeline if status is Status.SUBMITTING]
    start, end = (sent or [job.request.created_at])[-1], job.timeline[-1][1]
    seed = job.request.input.get("seed") if job.seed is None else job.seed
    return {
        **links,
        "prompt": job.request.input.get("prompt", ""),
        # Clients expect a number or no `seed` at all.
        **({} if seed is None else {"seed": seed}),
        "start_time": start,
        "end_time": end,
        "duration": round(end - start, 3),
    }
