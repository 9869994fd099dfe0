"""How a job looks to a client of the provider's own API (BFL OpenAPI, ResultResponse)."""

from collections.abc import Mapping
from typing import Any, Final

from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId
from core.jobs.status import Status
from core.security.signatures import sample_signature

_PENDING: Final = "Pending"
_READY: Final = "Ready"
_ERROR: Final = "Error"
_NOT_FOUND: Final = "Task not found"
_FAILED: Final[Mapping[str, str]] = {
    FailureCode.REQUEST_MODERATED: "Request Moderated",
    FailureCode.CONTENT_MODERATED: "Content Moderated",
}


def submission_view(job_id: JobId, job: Job | None, origin: str) -> dict[str, Any]:
    """Return the answer to a submit (BFL OpenAPI, AsyncResponse and AsyncWebhookResponse).

    Args:
        job_id: The task's id.
        job: Its record; None where it is gone already, or cannot be read right now.
        origin: Where the client finds the task (`https://host`).
    """
    costs = {"cost": job.cost if job else None, "input_mp": None, "output_mp": None}
    if job and job.request.callback_url:
        url = job.request.callback_url
        return {"id": job_id, "status": _PENDING, "webhook_url": url, **costs}
    return {"id": job_id, "polling_url": f"{origin}/v1/get_result?id={job_id}", **costs}


def task_view(job: Job, origin: str, master: str) -> dict[str, Any]:
    """Return the job as `get_result` shows it and as the webhook tells it.

    Args:
        job: Whose; its id is the task's id.
        origin: Where its image is fetched from (`https://host`).
        master: Master secret that the image's link is signed with.
    """
    view = _task(job.id, _PENDING)
    if job.status is Status.SUCCEEDED:
        view |= {"status": _READY, "result": _result(job, f"{origin}{sample_path(job, master)}")}
        # Older models tell it with the result only; a client takes its absence for "not known".
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
    """Return what is said of a task that does not exist, or is somebody else's."""
    return _task(task_id, _NOT_FOUND)


def sample_path(job: Job, master: str) -> str:
    """Return the path and query under which the service gives the job's image to anybody."""
    return f"/v1/samples/{sample_name(job)}?sig={sample_signature(master, job.id)}"


def sample_name(job: Job) -> str:
    """Return the last part of that path; clients take the format from its ending."""
    content_type = str((job.image or {}).get("content_type", ""))
    return f"{job.id}.{content_type.rpartition('/')[2]}"


def _task(task_id: str, status: str) -> dict[str, Any]:
    return {
        "id": task_id,
        "status": status,
        "result": None,
        "progress": None,
        "details": None,
        "preview": None,
    }


def _result(job: Job, sample: str) -> dict[str, Any]:
    sent = [at for status, at in job.timeline if status is Status.SUBMITTING]
    start, end = (sent or [job.request.created_at])[-1], job.timeline[-1][1]
    seed = job.request.input.get("seed") if job.seed is None else job.seed
    return {
        "sample": sample,
        "prompt": job.request.input.get("prompt", ""),
        # Clients read a number, or nothing.
        **({} if seed is None else {"seed": seed}),
        "start_time": start,
        "end_time": end,
        "duration": round(end - start, 3),
    }
