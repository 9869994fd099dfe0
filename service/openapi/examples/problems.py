"""Problem documents of each operation."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from core.jobs.status import Status

#: The kind of a problem and its detail.
_Problem = tuple[str, str]

#: By status, where the operation has no own.
_USUAL: Final[Mapping[str, _Problem]] = {
    "400": (
        "invalid-json",
        "The body is not valid JSON (Expecting value at line 1, column 11); send one JSON object",
    ),
    "401": (
        "missing-key",
        "The API key is missing; send it as Authorization: Bearer KEY, or as x-key: KEY",
    ),
    "404": (
        "no-such-job",
        "There is no such job, or it is not yours; ended jobs are kept for a limited time",
    ),
    "408": (
        "too-slow",
        "The body took too long to arrive; send it faster, or send large files as URLs",
    ),
    "413": (
        "body-too-large",
        "The body is larger than 301989888 bytes; send a smaller one, or large files as URLs",
    ),
    "415": (
        "content-encoding",
        "The body has the Content-Encoding 'gzip', which is not supported; send it uncompressed",
    ),
    "422": ("invalid-fields", "1 field is invalid; see errors"),
    "429": (
        "backlog-full",
        (
            "The backlog of waiting jobs is full: 5000 may wait (FLUXRELAY_MAX_BACKLOG); nothing "
            "was accepted, try again after Retry-After"
        ),
    ),
    "503": (
        "unavailable",
        "The job store cannot be reached or cannot keep a promise right now; nothing is promised",
    ),
}
_OF_A_BATCH: Final = (
    "send_batch_results",
    "list_batch_jobs",
    "show_batch",
    "cancel_batch",
    "retry_batch",
    "resend_batch_callback",
)
_WAITS: Final = ("show_job", "show_batch", "watch_job", "watch_all")
#: By operation and status.
_OWN: Final[Mapping[tuple[str, str], _Problem]] = {
    ("retry_job", "409"): (
        "cannot-send-again",
        "The job is succeeded; only a failed job can be sent again",
    ),
    **dict.fromkeys(
        [("cancel_job", "409"), ("delete_job", "409")],
        (
            "cannot-cancel",
            "The job's result is being stored, so it cannot be canceled any more; wait for it",
        ),
    ),
    ("cancel_jobs", "409"): (
        "confirm-mismatch",
        "12 jobs match, and confirm is 0; nothing was canceled, repeat it with confirm: 12",
    ),
    ("create_batch", "422"): (
        "invalid-items",
        "Nothing was accepted: 1 field of its items is invalid; see errors",
    ),
    ("create_batch", "413"): (
        "too-many-items",
        "The batch has more than 10000 items; send several batches",
    ),
    **dict.fromkeys(
        [(name, "404") for name in _OF_A_BATCH],
        (
            "no-such-batch",
            "There is no such batch, or it is not yours; batches are kept for a limited time",
        ),
    ),
    ("send_batch_results", "409"): (
        "no-result",
        "The results file of the batch is stored when all of its jobs have ended",
    ),
    ("retry_batch", "409"): (
        "cannot-send-again",
        "No item of the batch failed in a way that can be retried",
    ),
    ("resend_batch_callback", "409"): ("cannot-send-again", "The batch has no callback"),
    ("resend_callback", "409"): ("cannot-send-again", "The job has no callback"),
    ("send_image", "409"): (
        "no-result",
        "The job is generating; only a job that is succeeded has a result",
    ),
    ("send_artifact", "409"): (
        "no-result",
        "The job is failed; only a job that is succeeded has a result",
    ),
    ("send_artifact", "404"): (
        "no-such-artifact",
        "The result has no file 'draft_cache'; it has sample",
    ),
    **dict.fromkeys(
        [(name, "429") for name in _WAITS],
        (
            "too-many-waiting",
            (
                "2500 requests of yours wait in this process already, which is your share of its "
                "limit (FLUXRELAY_MAX_WAITERS); end some, or try again after Retry-After"
            ),
        ),
    ),
    ("test_callback", "429"): (
        "too-many-tests",
        (
            "2 samples of yours are being sent already, which is your share; wait for their "
            "outcome, or try again after Retry-After"
        ),
    ),
    ("readyz", "503"): (
        "draining",
        "This process is shutting down; send new requests to another one",
    ),
}
#: What is wrong with single fields, by operation.
_ERRORS: Final[Mapping[str, Mapping[str, str]]] = {
    "show_job": {
        "field": "query.wait",
        "detail": "is not a number of seconds",
        "allowed": "whole seconds from 0 to 60",
        "fix": "send whole seconds from 0 to 60",
    },
    "watch_job": {
        "field": "query.last_event_id",
        "detail": "is '-1'",
        "allowed": "the id of an event of this job, a number",
        "fix": "send the id of an event of this job, a number, or leave it out",
    },
    "watch_all": {
        "field": "query.status",
        "detail": "has unknown values: done",
        "allowed": ", ".join(Status),
        "fix": f"send some of {', '.join(Status)}",
    },
    "create_job": {
        "field": "input.width",
        "detail": "is 1000",
        "allowed": "a multiple of 32 from 256 to 1440",
        "fix": "send a multiple of 32 from 256 to 1440, or leave input.width out",
    },
    "list_jobs": {
        "field": "query.status",
        "detail": "is 'done'",
        "allowed": "one of queued, submitting, generating, storing, succeeded, failed, canceled",
        "fix": "send one of these, or leave it out",
    },
    "send_image": {
        "field": "query.expires",
        "detail": "is '0'",
        "allowed": "a whole number of seconds from 1 to 604800",
        "fix": "send a whole number of seconds from 1 to 604800",
    },
    "send_artifact": {
        "field": "query.download",
        "detail": "is 'looks/1042.png'",
        "allowed": "a file name of 1 to 200 characters without / and \\",
        "fix": "send such a name, or leave it out",
    },
    "list_callbacks": {
        "field": "query.outcome",
        "detail": "is 'lost'",
        "allowed": "one of delivered, failed",
        "fix": "send one of delivered, failed, or leave it out",
    },
    "replay_callbacks": {
        "field": "since",
        "detail": "is missing",
        "allowed": "the time since which callbacks were given up",
        "fix": "send it",
    },
    "test_callback": {
        "field": "url",
        "detail": "leads to a private or reserved address (10.0.0.8)",
        "allowed": "an http(s) URL that leads to a public address",
        "fix": "send a public URL, or have its network put into FLUXRELAY_CALLBACK_ALLOW_NETS",
    },
    "cancel_jobs": {
        "field": "confirm",
        "detail": "is missing",
        "allowed": "the number of jobs that are to be canceled",
        "fix": "send 0 to learn the number",
    },
    "list_dead_letters": {
        "field": "query.limit",
        "detail": "is 'all'",
        "allowed": "a whole number from 1 to 100",
        "fix": "send a whole number from 1 to 100, or leave it out",
    },
}


def problem(operation: str, status: str) -> dict[str, Any] | None:
    """Return a problem that an operation answers; None if there is no example.

    Args:
        operation: Its id.
        status: The status of the answer.
    """
    found = _OWN.get((operation, status)) or _USUAL.get(status)
    if found is None:
        return None
    kind, detail = found
    document: dict[str, Any] = {
        "type": f"urn:fluxrelay:problem:{kind}",
        "title": HTTPStatus(int(status)).phrase,
        "status": int(status),
        "detail": detail,
    }
    if kind == "invalid-fields":
        document["errors"] = [dict(_ERRORS.get(operation, _ERRORS["list_dead_letters"]))]
    if kind == "invalid-items":
        error = {"line": 1, "custom_id": "item-1", **_ERRORS["create_job"]}
        document |= {"errors": [error], "total": 1}
    return document
