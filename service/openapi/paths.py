"""The endpoints of the OpenAPI document."""

from typing import Final

from core.jobs.failures import FailureCode
from core.operations.dead_letters import CURSOR_PATTERN, MAX_PAGE_SIZE, Kind
from service.intake.limits import IDEMPOTENCY_KEY_PATTERN, LONGEST_IDEMPOTENCY_KEY
from service.openapi.schemas import TEXT, TEXT_OR_NULL, Json, object_of, reference

_JOB_ID: Final[Json] = {"name": "job_id", "in": "path", "required": True, "schema": TEXT}
_NO_JOB: Final = ("404", "No such job, or not yours.")
_NO_KEY: Final = ("401", "No key, or an unknown one.")


def paths(largest_body: int) -> Json:
    """Return the endpoints.

    Args:
        largest_body: Most bytes of a body.
    """
    secret = object_of({"secret": TEXT, "previous": {"type": "array", "items": TEXT}})
    status = object_of({"status": TEXT})
    return {
        "/v1/jobs": {"post": _create(largest_body)},
        "/v1/jobs/{job_id}": {
            "parameters": [_JOB_ID],
            "get": _read("Show a job", "show_job", reference("Job"), _NO_KEY, _NO_JOB),
        },
        **_dead_letters(),
        "/v1/models": {
            "get": _read("List the models", "list_models", reference("Models"), _NO_KEY)
        },
        "/v1/callback-secret": {
            "get": _read("Show the callbacks' secret", "show_callback_secret", secret, _NO_KEY)
        },
        "/metrics": {"get": _metrics()},
        "/livez": {"get": {**_read("Is it alive?", "livez", status), "security": []}},
        "/readyz": {
            "get": {
                **_read("Can it take jobs?", "readyz", status, ("503", "Not now.")),
                "security": [],
            }
        },
    }


def _metrics() -> Json:
    shown = {"description": "Prometheus' text format.", "content": {"text/plain": {}}}
    return {
        "summary": "Show figures",
        "operationId": "metrics",
        "responses": {"200": shown, **_problems(("503", "Redis is away."))},
        "security": [],
    }


def _dead_letters() -> Json:
    """Return the endpoints of dead letters."""
    page = object_of(
        {
            "dead_letters": {"type": "array", "items": reference("DeadLetter")},
            "next_cursor": TEXT_OR_NULL,
        }
    )
    filters = {
        "kind": {"enum": list(Kind)},
        "code": {"enum": list(FailureCode)},
        "limit": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE},
        "cursor": {"type": "string", "pattern": f"^{CURSOR_PATTERN}$"},
    }
    asked = [{"name": name, "in": "query", "schema": schema} for name, schema in filters.items()]
    bad = ("422", "Parameters are invalid; all of them are named.")
    listing = _read("List dead letters", "list_dead_letters", page, _NO_KEY, bad)
    kind = {"name": "kind", "in": "path", "required": True, "schema": filters["kind"]}
    dismissed = {"204": {"description": "It is not listed."}, **_problems(_NO_KEY, _NO_JOB)}
    dismiss = {
        "summary": "Take a dead letter off the list",
        "operationId": "dismiss_dead_letter",
        "responses": dismissed,
    }
    return {
        "/v1/jobs/{job_id}/retry": _again("Send a failed job again, as a new job", "retry_job"),
        "/v1/jobs/{job_id}/callback": _again("Send a callback again", "resend_callback"),
        "/v1/dead-letters": {"get": {**listing, "parameters": asked}},
        "/v1/dead-letters/{kind}/{job_id}": {"parameters": [kind, _JOB_ID], "delete": dismiss},
    }


def _again(summary: str, operation: str) -> Json:
    problems = _problems(
        _NO_KEY,
        _NO_JOB,
        ("409", "The job, or its callback, is not to be sent again."),
        ("503", "Redis or S3 is away; repeat it after Retry-After seconds."),
    )
    post = {
        "summary": summary,
        "operationId": operation,
        "responses": {"202": _accepted("It is on disk and will be done."), **problems},
    }
    return {"parameters": [_JOB_ID], "post": post}


def _accepted(words: str) -> Json:
    return {
        "description": words,
        "headers": {"Location": {"schema": TEXT}},
        "content": _json(reference("Job")),
    }


def _create(largest_body: int) -> Json:
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key with the same body gives the same job again.",
        "schema": {
            "type": "string",
            "pattern": f"^{IDEMPOTENCY_KEY_PATTERN}$",
            "maxLength": LONGEST_IDEMPOTENCY_KEY,
        },
    }
    problems = _problems(
        ("400", "The body is not JSON, or the Idempotency-Key is not valid."),
        _NO_KEY,
        ("413", f"The body is larger than {largest_body} bytes."),
        ("415", "The body has a Content-Encoding; send it uncompressed."),
        ("422", "Fields are invalid; all of them are named."),
        ("503", "Redis or S3 is away; repeat it after Retry-After seconds."),
    )
    return {
        "summary": "Create a job",
        "operationId": "create_job",
        "parameters": [key],
        "requestBody": {"required": True, "content": _json(reference("NewJob"))},
        "responses": {"202": _accepted("The job is on disk and will be carried out."), **problems},
    }


def _read(summary: str, operation: str, schema: Json, *problems: tuple[str, str]) -> Json:
    answer = {"description": "As asked.", "content": _json(schema)}
    responses = {"200": answer, **_problems(*problems)}
    return {"summary": summary, "operationId": operation, "responses": responses}


def _problems(*problems: tuple[str, str]) -> Json:
    content = {"application/problem+json": {"schema": reference("Problem")}}
    return {status: {"description": words, "content": content} for status, words in problems}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}
