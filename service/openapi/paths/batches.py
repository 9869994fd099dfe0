"""Batches."""

from typing import Final

from core.jobs.status import CallbackState
from core.settings.settings import Settings
from service.openapi.operations import (
    BACKLOG_FULL,
    BAD_QUERY,
    IDEMPOTENCY_KEY,
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
from service.openapi.paths import lists, results
from service.openapi.paths.waiting import APPLIED, BUSY, PREFER, TOO_MANY, WAIT
from service.openapi.schemas import (
    TEXT,
    TEXT_OR_NULL,
    Json,
    object_of,
    reference,
)

_TAG: Final = "Batches"
_NO_BATCH: Final = ("404", "No such batch, or not yours.")
_BATCH_ID: Final[Json] = {
    "name": "batch_id",
    "in": "path",
    "required": True,
    "description": "The batch's id, from the answer to its creation.",
    "schema": TEXT,
    "example": "01a1ff02-1be0-7c55-a3d1-6f0b52c8e914",
}
_NO_RESULTS: Final = (
    NO_KEY,
    ("404", "No such batch, not yours, or the file was deleted from the bucket."),
    ("409", "The batch runs, or has no results file."),
    BAD_QUERY,
    STORES_AWAY,
)
_LARGEST_PAGE: Final = 100
_LINE: Final = (
    '{"custom_id":"fox-1","job_id":"01a1ff02-1bf1-7a20-8f3c-5d1c0c6e7b11","status":"failed",'
    '"error":{"code":"content_moderated","message":"The provider moderated the result",'
    '"retryable":false}}\n'
)


def paths(settings: Settings) -> Json:
    """Return the endpoints."""
    return {
        "/v1/batches": {"post": _create(settings), "get": _list()},
        "/v1/batches/{batch_id}": {"parameters": [_BATCH_ID], "get": _show()},
        "/v1/batches/{batch_id}/jobs": {"parameters": [_BATCH_ID], "get": _jobs(settings)},
        "/v1/batches/{batch_id}/results": {
            "parameters": [_BATCH_ID],
            "get": _results(),
            "head": results.head("head_batch_results", _TAG, "the results file", *_NO_RESULTS),
        },
        "/v1/batches/{batch_id}/cancel": {"parameters": [_BATCH_ID], "post": _cancel()},
        "/v1/batches/{batch_id}/retry": {"parameters": [_BATCH_ID], "post": _retry()},
        "/v1/batches/{batch_id}/callback": {"parameters": [_BATCH_ID], "post": _resend()},
    }


def _create(settings: Settings) -> Json:
    lines = {
        **TEXT,
        "format": "batch-lines",
        "description": "One item per line. A first line without custom_id, model and input holds "
        "the options: the fields beside items.",
    }
    most = f"{settings.max_batch_bytes} bytes or {settings.max_batch_items} items"
    either = {"anyOf": [reference("Problem"), reference("InvalidItems")]}
    items: Json = {"application/problem+json": {"schema": either}}
    return operation(
        "create_batch",
        _TAG,
        "Create a batch",
        "Checks every item, stores the batch, and answers once all of it is on disk. Its items "
        "then become jobs. Send many or large items as NDJSON. With the same Idempotency-Key, "
        "repeating is safe.",
        accepted("The batch is on disk and will be carried out.", "AcceptedBatch"),
        problems(
            ("400", "The body is not JSON, or the Idempotency-Key is not valid."),
            NO_KEY,
            ("408", "The body arrived too slowly."),
            ("413", f"The batch has more than {most}."),
            ("415", "The body has a Content-Encoding; send it uncompressed."),
            BACKLOG_FULL,
            STORES_AWAY,
        ),
        {"422": {"description": "Items or options are invalid; each is named.", "content": items}},
        parameters=[IDEMPOTENCY_KEY],
        body={**json_of(reference("NewBatch")), "application/x-ndjson": {"schema": lines}},
    )


def _list() -> Json:
    sizes = {"type": "integer", "minimum": 1, "maximum": _LARGEST_PAGE}
    cursors = {"type": "string", "pattern": "^[0-9a-f-]{36}$"}
    batches = {"type": "array", "items": reference("Batch")}
    states = {"enum": list(CallbackState)}
    return operation(
        "list_batches",
        _TAG,
        "List batches",
        "Lists your batches, newest first. Continue until next_cursor is null.",
        answer(
            "200",
            "One page.",
            json_of(object_of({"batches": batches, "next_cursor": TEXT_OR_NULL})),
        ),
        problems(NO_KEY, BAD_QUERY, REDIS_AWAY),
        parameters=[
            query("callback", states, "Only batches whose callback is in this state."),
            query("limit", sizes, "Most batches of a page. Default 20."),
            query("cursor", cursors, "The next_cursor of the previous page."),
        ],
    )


def _show() -> Json:
    return operation(
        "show_batch",
        _TAG,
        "Show a batch",
        "Returns the batch with the number of its jobs by status, and its results file once that "
        "is stored.",
        answer("200", "The batch.", json_of(reference("Batch")), APPLIED),
        problems(NO_KEY, _NO_BATCH, BAD_QUERY, TOO_MANY, BUSY),
        parameters=[WAIT, PREFER],
    )


def _jobs(settings: Settings) -> Json:
    return operation(
        "list_batch_jobs",
        _TAG,
        "List the jobs of a batch",
        "Lists the batch's jobs, newest first, as GET /v1/jobs does. An item is a job some seconds "
        "after the batch was accepted.",
        lists.page(),
        problems(NO_KEY, _NO_BATCH, BAD_QUERY, REDIS_AWAY),
        parameters=lists.filters(settings.models, settings.indexed_metadata),
    )


def _results() -> Json:
    schema = {"type": "string", "format": "binary"}
    lines = {"application/x-ndjson": {"schema": schema, "example": _LINE}}
    return operation(
        "send_batch_results",
        _TAG,
        "Get the results file of a batch",
        "Leads to the file, one line per item in their order, by a presigned URL of the bucket. "
        "That URL needs no key. A deployment may send the file itself instead.",
        answer("302", "Follow Location.", None, {"Location": "The presigned URL."}),
        answer("200", "The file, where the deployment makes no presigned URLs.", lines),
        problems(*_NO_RESULTS),
        parameters=results.link_parameters(),
    )


def _cancel() -> Json:
    return operation(
        "cancel_batch",
        _TAG,
        "Cancel a batch",
        "Cancels each of its jobs that can be canceled. The batch completes when all have ended. "
        "Repeating is safe.",
        answer("200", "The batch.", json_of(reference("Batch"))),
        problems(NO_KEY, _NO_BATCH, NO_QUERY, REDIS_AWAY),
    )


def _retry() -> Json:
    return operation(
        "retry_batch",
        _TAG,
        "Run the failed items of a batch again, as a new batch",
        "Items whose files are no longer kept, or that were retried as single jobs, are left out. "
        "Repeating the request returns the same new batch.",
        accepted("The new batch is on disk and will be carried out.", "Batch"),
        problems(
            NO_KEY,
            _NO_BATCH,
            ("409", "The batch runs, or no item of it can be retried."),
            NO_QUERY,
            BACKLOG_FULL,
            STORES_AWAY,
        ),
    )


def _resend() -> Json:
    return operation(
        "resend_batch_callback",
        _TAG,
        "Send a batch's callback again",
        "Sends it whether it was delivered or given up, with a full day for new attempts.",
        accepted("It is being sent.", "Batch"),
        problems(
            NO_KEY,
            _NO_BATCH,
            ("409", "The batch has no callback, or runs."),
            NO_QUERY,
            REDIS_AWAY,
        ),
    )
