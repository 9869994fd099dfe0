"""Lists of jobs."""

from collections.abc import Iterable
from typing import Final

from core.jobs.status import Status
from core.operations.job_lists import CURSOR_PATTERN, MAX_PAGE_SIZE, MOST_METADATA
from service.openapi.operations import (
    BAD_QUERY,
    NO_KEY,
    REDIS_AWAY,
    answer,
    json_of,
    operation,
    problems,
    query,
)
from service.openapi.schemas import COUNT, TEXT, TEXT_OR_NULL, Json, object_of, reference

TAG: Final = "Lists"
UUID: Final[Json] = {
    "type": "string",
    "pattern": "^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
}
TIME: Final[Json] = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "number", "minimum": 0, "maximum": 253_402_300_799},
    ]
}

_AWAY_OR_BUSY: Final = (
    "Redis is away, or more than 10,000 items of batches are made jobs first, to see which of them "
    "match; repeat it after Retry-After seconds."
)


def paths(models: Iterable[str], indexed_metadata: Iterable[str]) -> Json:
    """Return the endpoints.

    Args:
        models: Names of the models that are offered.
        indexed_metadata: Keys of metadata by whose values jobs can be listed.
    """
    return {
        "/v1/jobs": {"get": _list(models, indexed_metadata)},
        "/v1/jobs/cancel": {"post": _cancel(models, indexed_metadata)},
    }


def _list(models: Iterable[str], indexed_metadata: Iterable[str]) -> Json:
    return operation(
        "list_jobs",
        TAG,
        "List jobs",
        "Lists your jobs, newest first. Filters go together. Continue until next_cursor is null; "
        "pages before the last may be short, even empty, if filters are combined. A job that "
        "starts, ends or begins while you read is neither doubled nor missed.",
        page(),
        problems(NO_KEY, BAD_QUERY, REDIS_AWAY),
        parameters=[
            *filters(models, indexed_metadata),
            query("batch", UUID, "Jobs of this batch."),
        ],
    )


def page() -> Json:
    """Return the answer with one page of jobs."""
    jobs = {"type": "array", "items": reference("Job")}
    return answer(
        "200", "One page.", json_of(object_of({"jobs": jobs, "next_cursor": TEXT_OR_NULL}))
    )


def filters(models: Iterable[str], indexed_metadata: Iterable[str]) -> list[Json]:
    """Return the parameters of a list of jobs, but for the batch."""
    sizes = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE}
    statuses = {"type": "array", "items": {"enum": list(Status)}, "minItems": 1}
    cursors = {"type": "string", "pattern": f"^{CURSOR_PATTERN}$"}
    return [
        query("status", statuses, "One or more statuses; repeat it, or separate by commas."),
        query("model", {"enum": list(models)}, "Jobs of this model."),
        query("created_after", TIME, "Created then or later: ISO 8601, or Unix seconds."),
        query("created_before", TIME, "Created earlier than then; not before created_after."),
        *(
            query(f"metadata.{key}", TEXT, f"Jobs with this value of {key} in their metadata.")
            for key in indexed_metadata
        ),
        query("limit", sizes, "Most jobs of a page. Default 20."),
        query("cursor", cursors, "The next_cursor of the previous page."),
    ]


def _cancel(models: Iterable[str], indexed_metadata: Iterable[str]) -> Json:
    result = object_of(dict.fromkeys(("canceled", "not_canceled"), COUNT))
    return operation(
        "cancel_jobs",
        TAG,
        "Cancel many jobs",
        "Cancels the jobs that fit all filters and can be canceled: those that are queued, "
        "submitting or generating. Items of batches that are no jobs yet count as queued, and are "
        "canceled as well. confirm must be the number; send 0 to learn it. Repeating is safe.",
        answer("200", "How many were canceled; the others moved on meanwhile.", json_of(result)),
        problems(
            ("400", "The body is not JSON."),
            NO_KEY,
            ("408", "The body arrived too slowly."),
            ("409", "Other than confirm jobs match; count says how many. Nothing was canceled."),
            ("413", "The body is larger than 64 KiB."),
            ("415", "The body has a Content-Encoding; send it uncompressed."),
            ("422", "Fields are invalid, or more than 10,000 jobs match."),
            ("503", _AWAY_OR_BUSY),
        ),
        body=json_of(_cancel_body(models, indexed_metadata)),
    )


def _cancel_body(models: Iterable[str], indexed_metadata: Iterable[str]) -> Json:
    confirm = {**COUNT, "description": "The number of jobs that are to be canceled."}
    filters: Json = {
        "status": {"type": "array", "items": {"enum": list(Status)}, "minItems": 1},
        "model": {"enum": list(models)},
        "created_after": TIME,
        "created_before": TIME,
        "batch": UUID,
    }
    keys = {key: {"type": ["string", "number", "boolean"]} for key in indexed_metadata}
    if keys:
        filters["metadata"] = {
            "type": "object",
            "properties": keys,
            "minProperties": 1,
            "maxProperties": MOST_METADATA,
            "additionalProperties": False,
        }
    every = object_of({"all": {"const": True}, "confirm": confirm})
    some = {
        "type": "object",
        "required": ["confirm"],
        "properties": {**filters, "confirm": confirm},
        "minProperties": 2,
    }
    return {"oneOf": [{**one, "additionalProperties": False} for one in (every, some)]}
