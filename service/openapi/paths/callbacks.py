"""Callbacks and their secret."""

from typing import Final

from core.jobs.callback_events import CallbackEvent
from core.operations.callbacks.attempts import CURSOR_PATTERN, MAX_PAGE_SIZE, Outcome
from core.operations.callbacks.samples import TRIABLE
from service.openapi.operations import (
    BAD_QUERY,
    NO_KEY,
    NO_QUERY,
    REDIS_AWAY,
    answer,
    json_of,
    operation,
    problems,
    query,
)
from service.openapi.paths.lists import TIME, UUID
from service.openapi.schemas import TEXT, TEXT_OR_NULL, Json, object_of, reference

_TAG: Final = "Callbacks"
_BODY: Final = (
    ("400", "The body is not JSON."),
    ("413", "The body is too large."),
    ("415", "The body has a Content-Encoding; send it uncompressed."),
    ("422", "Fields are invalid; all of them are named."),
)
_ATTEMPT: Final = object_of(
    {
        "id": TEXT,
        "at": {"type": "string", "format": "date-time"},
        "job_id": TEXT_OR_NULL,
        "batch_id": TEXT_OR_NULL,
        "test_id": {**TEXT_OR_NULL, "description": "The id that POST /v1/callbacks/test answered."},
        "type": {"enum": list(CallbackEvent)},
        "outcome": {"enum": list(Outcome)},
        "status": {"type": ["integer", "null"], "description": "HTTP status of the answer."},
        "milliseconds": {"type": ["integer", "null"]},
        "error": {"type": ["string", "null"], "description": "Why there was no answer."},
    }
)


def paths() -> Json:
    """Return the endpoints."""
    return {
        "/v1/callbacks": {"get": _list()},
        "/v1/callbacks/replay": {"post": _replay()},
        "/v1/callbacks/test": {"post": _test()},
        "/v1/callback-secret": {"get": _secret()},
    }


def _list() -> Json:
    sizes = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE}
    cursors = {"type": "string", "pattern": f"^{CURSOR_PATTERN}$"}
    page = {"attempts": {"type": "array", "items": _ATTEMPT}, "next_cursor": TEXT_OR_NULL}
    return operation(
        "list_callbacks",
        _TAG,
        "List attempts at callbacks",
        "Lists every attempt at your callbacks, newest first. Continue until next_cursor is null; "
        "pages before the last may be short.",
        answer("200", "One page.", json_of(object_of(page))),
        problems(NO_KEY, BAD_QUERY, REDIS_AWAY),
        parameters=[
            query("job", UUID, "Attempts at the callbacks of this job."),
            query("batch", UUID, "Attempts at the callback of this batch."),
            query("outcome", {"enum": list(Outcome)}, "Only what was taken, or what was not."),
            query("type", {"enum": list(CallbackEvent)}, "Attempts that told this event."),
            query("since", TIME, "Made then or later: ISO 8601, or Unix seconds."),
            query("until", TIME, "Made earlier than then; not before since."),
            query("limit", sizes, "Most attempts of a page. Default 20."),
            query("cursor", cursors, "The next_cursor of the previous page."),
        ],
    )


def _replay() -> Json:
    times = {"since": TIME, "until": {"anyOf": [TIME, {"type": "null"}]}}
    body = {
        "type": "object",
        "required": ["since"],
        "properties": times,
        "additionalProperties": False,
    }
    done = object_of({"replayed": {"type": "integer", "minimum": 0}, "more": {"type": "boolean"}})
    return operation(
        "replay_callbacks",
        _TAG,
        "Send again all callbacks that were given up",
        "Sends again every callback of your jobs and batches that was given up since a time, with "
        "the same webhook-id and a full day for new attempts. At most 1000 at a time: repeat it "
        "while more is true. Callbacks that are still tried come by themselves, and are not "
        "counted.",
        answer("202", "They will be sent.", json_of(done)),
        problems(NO_KEY, *_BODY, REDIS_AWAY),
        body=json_of(body),
    )


def _test() -> Json:
    body = {
        "type": "object",
        "required": ["url"],
        "properties": {
            "url": reference("CallbackUrl"),
            "type": {"enum": list(TRIABLE)},
        },
        "additionalProperties": False,
    }
    outcome = object_of(
        {
            "id": TEXT,
            "delivered": {"type": "boolean"},
            "status": {"type": ["integer", "null"]},
            "milliseconds": {"type": ["integer", "null"]},
            "error": TEXT_OR_NULL,
        }
    )
    return operation(
        "test_callback",
        _TAG,
        "Send a sample event",
        "Sends a signed sample event to a URL, once, and answers what came of it.",
        answer("200", "What came of it.", json_of(outcome)),
        answer(
            "202",
            "It was not sent within 20 s; look for it among the attempts.",
            json_of(object_of({"id": TEXT})),
        ),
        problems(
            NO_KEY,
            *_BODY,
            ("429", "Two of your tests run already; repeat it after Retry-After seconds."),
            ("503", "Too many tests run, or Redis is away; repeat it after Retry-After seconds."),
        ),
        body=json_of(body),
    )


def _secret() -> Json:
    secret = object_of({"secret": TEXT, "previous": {"type": "array", "items": TEXT}})
    return operation(
        "show_callback_secret",
        _TAG,
        "Show the secret of your callbacks",
        "Callbacks are signed with it, according to Standard Webhooks. While the operator rotates "
        "the secrets, callbacks carry a signature for each of the previous ones as well.",
        answer("200", "The secret.", json_of(secret)),
        problems(NO_KEY, NO_QUERY),
    )
