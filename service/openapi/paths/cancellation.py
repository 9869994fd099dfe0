"""Canceling jobs."""

from typing import Final

from service.openapi.operations import (
    JOB_ID,
    NO_JOB,
    NO_KEY,
    NO_QUERY,
    REDIS_AWAY,
    answer,
    json_of,
    operation,
    problems,
)
from service.openapi.schemas import Json, reference

_TAG: Final = "Cancel and deadline"


def paths() -> Json:
    """Return the endpoints."""
    return {
        "/v1/jobs/{job_id}": {"delete": _cancel("delete_job", "Cancel a job, as a DELETE")},
        "/v1/jobs/{job_id}/cancel": {
            "parameters": [JOB_ID],
            "post": _cancel("cancel_job", "Cancel a job"),
        },
    }


def _cancel(name: str, summary: str) -> Json:
    return operation(
        name,
        _TAG,
        summary,
        "Ends the job as canceled, at once. A job that was not submitted yet costs nothing. The "
        "provider cannot cancel a task: what it makes is discarded, and its cost is shown once it "
        "has ended. A job that has ended is returned as it is, so repeating is safe.",
        answer("200", "The job, which has ended.", json_of(reference("Job"))),
        problems(
            NO_KEY,
            NO_JOB,
            ("409", "Its result is being stored; it is too late."),
            NO_QUERY,
            REDIS_AWAY,
        ),
    )
