"""The parts of the OpenAPI document that no model has a say in."""

from typing import Any, Final

from core.job import CallbackState, FailureCode, Status
from service.bounds import (
    HIGHEST_PRIORITY,
    LARGEST_METADATA,
    LONGEST_IDEMPOTENCY_KEY,
    LONGEST_KEY,
)

Json = dict[str, Any]

SECURITY: Final[Json] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-key"},
}
_TEXT: Final[Json] = {"type": "string"}
_TEXT_OR_NULL: Final[Json] = {"type": ["string", "null"]}
_TIME: Final[Json] = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Final[Json] = {"type": ["string", "null"], "format": "date-time"}
_YES_OR_NO: Final[Json] = {"type": "boolean"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_STATUS: Final[Json] = {"enum": list(Status)}
_NO_KEY: Final = ("401", "No key, or an unknown one.")
_IMAGE: Final[Json] = {
    **dict.fromkeys(("uri", "bucket", "key", "sha256", "content_type"), _TEXT),
    **dict.fromkeys(("bytes", "width", "height"), _COUNT),
    "margin_seconds": {"type": ["number", "null"], "description": "Left on its link when stored."},
}
_EXPIRED: Final[Json] = {"id": _TEXT_OR_NULL, "cost": {"type": ["number", "null"]}}
_ERROR: Final[Json] = {
    "code": {"enum": list(FailureCode)},
    "message": _TEXT,
    "retryable": _YES_OR_NO,
}
_ATTEMPT: Final[Json] = {
    "at": _TIME,
    "status": {"type": ["integer", "null"]},
    "error": _TEXT_OR_NULL,
}
_CALLBACK: Final[Json] = {
    "url": _TEXT,
    "state": {"enum": list(CallbackState)},
    "attempts": _COUNT,
    "log": {"type": "array", "items": {"type": "object", "properties": _ATTEMPT}},
}


def new_job(model: str, parameters: Json) -> Json:
    """Return the schema of a `POST /v1/jobs` for one model."""
    return {
        "title": model,
        "type": "object",
        "required": ["model", "input"],
        "properties": {
            "model": {"const": model},
            "input": parameters,
            "callback": _ref("NewCallback"),
            "output": _ref("NewOutput"),
            "region": {**_TEXT_OR_NULL, "description": "Make it in this region, or nowhere."},
            "regenerate": {
                "type": ["boolean", "null"],
                "description": "Make, and pay for, a second image if the first one is lost.",
            },
            "priority": {
                "type": ["integer", "null"],
                "minimum": -HIGHEST_PRIORITY,
                "maximum": HIGHEST_PRIORITY,
                "description": "Higher goes first, then older. Default 0.",
            },
            "metadata": {
                "type": ["object", "null"],
                "description": f"Given back with the job; at most {LARGEST_METADATA} bytes.",
            },
        },
        "additionalProperties": False,
    }


def schemas(bucket: str) -> Json:
    """Return the schemas of bodies and answers, those of single models aside.

    Args:
        bucket: The deployment's bucket, the only one there is.
    """
    url = {**_TEXT, "format": "uri", "description": "http or https, to a public address."}
    key = {
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": LONGEST_KEY,
        "description": "S3 key; {job_id}, {date}, {model}, {tenant}, {ext} are filled in.",
    }
    optional = {"type": ["object", "null"], "additionalProperties": False}
    return {
        "NewCallback": {**optional, "required": ["url"], "properties": {"url": url}},
        "NewOutput": {
            **optional,
            "properties": {"bucket": {"enum": [bucket, None]}, "key": key},
        },
        "Job": _job(),
        "Models": _models(),
        "Problem": _problem(),
    }


def paths(largest_body: int) -> Json:
    """Return the endpoints.

    Args:
        largest_body: Bytes that a body may have.
    """
    job_id = {"name": "job_id", "in": "path", "required": True, "schema": _TEXT}
    secret = _object({"secret": _TEXT, "previous": {"type": "array", "items": _TEXT}})
    status = _object({"status": _TEXT})
    no_job = ("404", "No job of yours.")
    return {
        "/v1/jobs": {"post": _create(largest_body)},
        "/v1/jobs/{job_id}": {
            "parameters": [job_id],
            "get": _read("Show a job", "show_job", _ref("Job"), _NO_KEY, no_job),
        },
        "/v1/models": {"get": _read("List the models", "list_models", _ref("Models"), _NO_KEY)},
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


def _create(largest_body: int) -> Json:
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key with the same body gives the same job again.",
        "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_IDEMPOTENCY_KEY},
    }
    accepted = {
        "description": "It is on disk and will come to an end.",
        "headers": {"Location": {"schema": _TEXT}},
        "content": _json(_ref("Job")),
    }
    problems = _problems(
        ("400", "The body is not JSON, or the Idempotency-Key is not usable."),
        _NO_KEY,
        ("413", f"The body is larger than {largest_body} bytes."),
        ("422", "Fields are not as they must be, all of them named."),
        ("503", "Redis or S3 is away; repeat it after Retry-After seconds."),
    )
    return {
        "summary": "Create a job",
        "operationId": "create_job",
        "parameters": [key],
        "requestBody": {"required": True, "content": _json(_ref("NewJob"))},
        "responses": {"202": accepted, **problems},
    }


def _job() -> Json:
    step = _object({"status": _STATUS, "at": _TIME})
    provider = {
        "id": _TEXT_OR_NULL,
        "seed": {"type": ["integer", "null"]},
        "cost": {"type": ["number", "null"], "description": "Credits, where it was told."},
        "input_megapixels": {"type": ["number", "null"]},
        "output_megapixels": {"type": ["number", "null"]},
        "resubmits": _COUNT,
        "expired": _or_null(_EXPIRED),
    }
    return _object(
        {
            "id": _TEXT,
            "model": _TEXT,
            "status": _STATUS,
            "input": {"type": "object"},
            "metadata": {"type": "object"},
            "region": _TEXT_OR_NULL,
            "priority": {"type": "integer"},
            "regenerate": _YES_OR_NO,
            "created_at": _TIME,
            "deadline_at": _TIME,
            "ended_at": _TIME_OR_NULL,
            "timeline": {"type": "array", "items": step},
            "image": _or_null(_IMAGE),
            "error": _or_null(_ERROR),
            "callback": _or_null(_CALLBACK),
            "provider": {"type": "object", "properties": provider},
        }
    )


def _models() -> Json:
    parameter = {"type": "object", "description": "kind, required, and the bounds it has."}
    model = {
        **dict.fromkeys(("name", "endpoint", "source"), _TEXT),
        **dict.fromkeys(("webhook", "cost_on_submit"), _YES_OR_NO),
        "parameters": {"type": "object", "additionalProperties": parameter},
    }
    return _object({"models": {"type": "array", "items": _object(model)}})


def _problem() -> Json:
    complaint = _object(dict.fromkeys(("field", "detail", "allowed", "fix"), _TEXT))
    required = _object({"type": _TEXT, "title": _TEXT, "status": _COUNT, "detail": _TEXT})
    required["properties"]["errors"] = {"type": "array", "items": complaint}
    return {**required, "description": "RFC 9457 problem document."}


def _read(summary: str, operation: str, schema: Json, *problems: tuple[str, str]) -> Json:
    answer = {"description": "As asked.", "content": _json(schema)}
    responses = {"200": answer, **_problems(*problems)}
    return {"summary": summary, "operationId": operation, "responses": responses}


def _problems(*problems: tuple[str, str]) -> Json:
    content = {"application/problem+json": {"schema": _ref("Problem")}}
    return {status: {"description": words, "content": content} for status, words in problems}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _object(properties: Json) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties}


def _or_null(properties: Json) -> Json:
    return {"type": ["object", "null"], "properties": properties}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
