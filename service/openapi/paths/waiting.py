"""Waiting for jobs, and watching them."""

from typing import Final

from core.jobs.status import Status
from service.openapi import event_schemas
from service.openapi.examples import jobs
from service.openapi.operations import (
    BAD_QUERY,
    JOB_ID,
    NO_JOB,
    NO_KEY,
    answer,
    operation,
    problems,
    query,
)
from service.openapi.paths.lists import UUID
from service.openapi.schemas import TEXT, Json
from service.watch.frames import begin, frame
from service.watch.waiting import LONGEST_WAIT

_TAG: Final = "Waiting and events"
BUSY: Final = (
    "503",
    "Too many requests wait already, or Redis is away; repeat it after Retry-After seconds.",
)
TOO_MANY: Final = (
    "429",
    "Too many of your requests wait already; repeat it after Retry-After seconds.",
)
#: Of `POST /v1/jobs` and `GET /v1/jobs/{job_id}`.
PREFER: Final[Json] = {
    "name": "Prefer",
    "in": "header",
    "description": f"wait=N: answer once it has ended, but within N seconds (at most "
    f"{LONGEST_WAIT}). A malformed preference is ignored (RFC 7240).",
    "schema": TEXT,
    "example": "wait=30",
}
APPLIED: Final[Json] = {"Preference-Applied": "wait=N, if the request has waited."}
WAIT: Final[Json] = query(
    "wait",
    {"type": "integer", "minimum": 0, "maximum": 999_999_999},
    f"Answer once it has ended, but within so many seconds (at most {LONGEST_WAIT}).",
)
_LAST: Final = "The id of the last event that is known; those after it are sent."
_LAST_HEADER: Final[Json] = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": _LAST,
    "schema": TEXT,
}
_NUMBER: Final[Json] = {"type": "string", "pattern": r"^[0-9]{1,9}$"}
_PLACE: Final[Json] = {"type": "string", "pattern": r"^[0-9]{1,19}-[0-9]{1,19}$"}
_JOB_EVENT: Final = frame(
    "job.generating",
    {"job": jobs.GENERATING, "status": "generating", "at": "2026-11-21T16:25:03.345Z"},
    "3",
)
_EVENT: Final = frame(
    "job.generating",
    {
        "job_id": jobs.GENERATING["id"],
        "status": "generating",
        "at": "2026-11-21T16:25:03.345Z",
        "batch": None,
    },
    "1795278303345-0",
)


def paths() -> Json:
    """Return the endpoints."""
    return {
        "/v1/jobs/{job_id}/events": {"parameters": [JOB_ID], "get": _job()},
        "/v1/events": {"get": _all()},
    }


def _job() -> Json:
    return operation(
        "watch_job",
        _TAG,
        "Watch a job",
        "Server-sent events: the newest status of the job, then each later one with the job, until "
        "it has ended; then the stream ends. The id of an event is its number in the timeline. If "
        "the id in Last-Event-ID is of another kind, all statuses are sent.",
        answer("200", "The events, as they come.", _stream(_JOB_EVENT, event_schemas.OF_A_JOB)),
        answer("204", "The job has ended, and its last event is known.", None),
        problems(NO_KEY, NO_JOB, BAD_QUERY, TOO_MANY, BUSY),
        parameters=[_LAST_HEADER, _last_query(_NUMBER)],
    )


def _all() -> Json:
    statuses = {"type": "array", "items": {"enum": [str(status) for status in Status]}}
    return operation(
        "watch_all",
        _TAG,
        "Watch all jobs",
        "Server-sent events: every status of every job of yours from now on, or from the last "
        "event that is known, within the last hour. If that is gone, a reset event comes first.",
        answer("200", "The events, as they come.", _stream(_EVENT, event_schemas.OF_ALL_JOBS)),
        problems(NO_KEY, BAD_QUERY, TOO_MANY, BUSY),
        parameters=[
            query("status", statuses, "Only these; may also be separated by commas."),
            query("batch", UUID, "Only events of this batch."),
            _LAST_HEADER,
            _last_query(_PLACE),
        ],
    )


def _last_query(schema: Json) -> Json:
    return query("last_event_id", schema, f"{_LAST} The header counts before it.")


def _stream(example: bytes, item: Json) -> Json:
    shown = (begin() + example).decode()
    return {"text/event-stream": {"schema": TEXT, "x-itemSchema": item, "example": shown}}
