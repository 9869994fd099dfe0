"""Dead letters."""

from typing import Final

from core.jobs.failures import FailureCode
from core.operations.dead_letter_list import CURSOR_PATTERN, MAX_PAGE_SIZE, Kind
from service.openapi.operations import (
    BACKLOG_FULL,
    BAD_QUERY,
    JOB_ID,
    NO_JOB,
    NO_KEY,
    NO_QUERY,
    REDIS_AWAY,
    STORES_AWAY,
    accepted,
    answer,
    json_of,
    operation,
    problems,
    query,
)
from service.openapi.schemas import TEXT_OR_NULL, Json, object_of, reference

_TAG: Final = "Dead letters"
_KINDS: Final[Json] = {"enum": list(Kind)}
_KIND: Final[Json] = {
    "name": "kind",
    "in": "path",
    "required": True,
    "description": "Whether a job is listed, its callback, or the callback of a batch.",
    "schema": _KINDS,
    "example": "job",
}
_ID: Final[Json] = {**JOB_ID, "name": "id", "description": "The id of the job, or of the batch."}
_NOT_FOUND: Final = ("404", "No such job or batch, or not yours.")


def paths() -> Json:
    """Return the endpoints."""
    return {
        "/v1/dead-letters": {"get": _list()},
        "/v1/dead-letters/{kind}/{id}": {"parameters": [_KIND, _ID], "delete": _dismiss()},
        "/v1/jobs/{job_id}/retry": {"parameters": [JOB_ID], "post": _retry()},
        "/v1/jobs/{job_id}/callback": {"parameters": [JOB_ID], "post": _resend()},
    }


def _list() -> Json:
    sizes = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE}
    cursors = {"type": "string", "pattern": f"^{CURSOR_PATTERN}$"}
    letters = {"type": "array", "items": reference("DeadLetter")}
    page = object_of({"dead_letters": letters, "next_cursor": TEXT_OR_NULL})
    return operation(
        "list_dead_letters",
        _TAG,
        "List dead letters",
        "Lists jobs that failed through no fault of yours, and callbacks, of jobs and of batches, "
        "that were given up, oldest first. Continue until next_cursor is null; pages before the "
        "last may be short.",
        answer("200", "One page.", json_of(page)),
        problems(NO_KEY, BAD_QUERY, REDIS_AWAY),
        parameters=[
            query("kind", _KINDS, "Only jobs, callbacks of jobs, or callbacks of batches."),
            query("code", {"enum": list(FailureCode)}, "Only jobs that failed with this code."),
            query("limit", sizes, "Most letters of a page. Default 50."),
            query("cursor", cursors, "The next_cursor of the previous page."),
        ],
    )


def _dismiss() -> Json:
    return operation(
        "dismiss_dead_letter",
        _TAG,
        "Take a dead letter off the list",
        "The job or batch can still be read. Files that were kept for a retry are deleted.",
        answer("204", "It is not listed.", None),
        problems(NO_KEY, _NOT_FOUND, NO_QUERY, REDIS_AWAY),
    )


def _retry() -> Json:
    return operation(
        "retry_job",
        _TAG,
        "Run a failed job again, as a new job",
        "The new job has the same input, callback and output key, and an id of its own. Repeating "
        "the request returns the same new job.",
        accepted("The new job is on disk and will be carried out."),
        problems(
            NO_KEY,
            NO_JOB,
            ("409", "The job has not failed, or its files are gone."),
            NO_QUERY,
            BACKLOG_FULL,
            STORES_AWAY,
        ),
    )


def _resend() -> Json:
    return operation(
        "resend_callback",
        _TAG,
        "Send a callback again",
        "Sends the callback of an ended job again, with the same webhook-id and a full day for new "
        "attempts. One that is pending is sent now.",
        accepted("The callback will be sent."),
        problems(
            NO_KEY,
            NO_JOB,
            ("409", "The job has not ended, has no callback, or its end is not to be told."),
            NO_QUERY,
            STORES_AWAY,
        ),
    )
