"""The schemas of the OpenAPI document that do not depend on models."""

from collections.abc import Sequence
from typing import Any, Final

from core.jobs.callback_events import OF_A_JOB
from core.jobs.failures import FailureCode
from core.jobs.status import CallbackState, Status
from core.operations.dead_letter_list import Kind
from core.provider.catalogue import Media
from core.text_values import MOST_RESUBMITS
from service.intake.limits import (
    HIGHEST_PRIORITY,
    LARGEST_METADATA,
    LONGEST_DEADLINE,
    LONGEST_KEY,
    LONGEST_URL,
    SHORTEST_DEADLINE,
)

Json = dict[str, Any]

_X_KEY: Final = "As at the provider. Clients send it on when they follow a redirect to the bucket."
SECURITY: Final[Json] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-key", "description": _X_KEY},
}
#: The types of callbacks.
EVENTS: Final = list(OF_A_JOB)
TEXT: Final[Json] = {"type": "string"}
TEXT_OR_NULL: Final[Json] = {"type": ["string", "null"]}
TIME: Final[Json] = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Final[Json] = {"type": ["string", "null"], "format": "date-time"}
_YES_OR_NO: Final[Json] = {"type": "boolean"}
COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_NUMBER: Final[Json] = {"type": "number"}
DEADLINE: Final[Json] = {
    "anyOf": [
        {"type": "number", "minimum": SHORTEST_DEADLINE, "maximum": LONGEST_DEADLINE},
        {"type": "string", "format": "deadline"},
        {"type": "null"},
    ],
    "description": "When the job fails as timed_out unless it has ended: seconds from now, or an "
    "ISO 8601 time with its zone.",
}
_EVENTS: Final[Json] = {
    "type": ["array", "null"],
    "items": {"enum": list(OF_A_JOB)},
    "minItems": 1,
    "description": "Events to be told of. Default: the ends.",
}
_CHOSEN: Final[Json] = {"type": "array", "items": {"enum": list(OF_A_JOB)}}
STATUS: Final[Json] = {"enum": list(Status)}
_FILE: Final[Json] = {
    **dict.fromkeys(("uri", "bucket", "key", "sha256", "content_type"), TEXT),
    "bytes": COUNT,
    "provider_id": TEXT_OR_NULL,
    "margin_seconds": {"type": ["number", "null"], "description": "Left on its link when stored."},
}
_IMAGE: Final[Json] = _FILE | dict.fromkeys(("width", "height"), COUNT)
_ARTIFACT: Final[Json] = {
    "role": {**TEXT, "description": "sample, or draft_cache for a draft's bundle."},
    **_FILE,
}
#: What an image or a video has besides.
_FACTS: Final[Json] = {
    **dict.fromkeys(("width", "height"), COUNT),
    **dict.fromkeys(("seconds", "frames_per_second"), _NUMBER),
    "tracks": {"type": "array", "items": TEXT},
}
_DISCARDED: Final[Json] = {
    **_YES_OR_NO,
    "description": "Whether the job ended before its task, whose result is thrown away. It may be "
    "billed: see cost, once the task has ended.",
}
_EXPIRED: Final[Json] = {"id": TEXT_OR_NULL, "cost": {"type": ["number", "null"]}}
_ERROR: Final[Json] = {
    "code": {"enum": list(FailureCode)},
    "message": TEXT,
    "retryable": _YES_OR_NO,
    "provider_status": {**TEXT_OR_NULL, "description": "As the provider said, if it did."},
    "details": {"description": "What the provider said besides, if it did."},
}
_ATTEMPT: Final[Json] = {
    "at": TIME,
    "status": {"type": ["integer", "null"]},
    "error": TEXT_OR_NULL,
}
_WAITING: Final[Json] = {
    "for": {"enum": ["provider", "result", "storage"]},
    "since": TIME,
    "until": TIME_OR_NULL,
    "last_problem": TEXT,
}
_QUEUE: Final[Json] = {
    "position": {**COUNT, "description": "Jobs ahead of it."},
    "estimated_start_at": {**TIME_OR_NULL, "description": "null: no pace is known yet."},
}
CALLBACK: Final[Json] = {
    "url": TEXT,
    "state": {"enum": list(CallbackState)},
    "attempts": COUNT,
    "log": {"type": "array", "items": {"type": "object", "properties": _ATTEMPT}},
}


def new_job(model: str, parameters: Json, regions: Sequence[str]) -> Json:
    """Return the schema of `POST /v1/jobs` for one model.

    Args:
        model: The model's name.
        parameters: The schema of `input`.
        regions: The regions that a job may be pinned to.
    """
    return {
        "title": model,
        "type": "object",
        "required": ["model", "input"],
        "properties": {
            "model": {"const": model},
            "input": parameters,
            "callback": reference("NewCallback"),
            "output": reference("NewOutput"),
            "region": {
                "enum": [*regions, None],
                "description": "Make it in this region, or nowhere.",
            },
            "regenerate": {
                "type": ["boolean", "null"],
                "description": "Make, and pay for, a second result if the first one is lost.",
            },
            "max_resubmits": {
                "type": ["integer", "null"],
                "minimum": 0,
                "maximum": MOST_RESUBMITS,
                "description": "Submits that may be repeated where an earlier one may be paid for.",
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
            "deadline": DEADLINE,
        },
        "additionalProperties": False,
    }


def schemas(bucket: str) -> Json:
    """Return the schemas of bodies and answers, those of single models aside.

    Args:
        bucket: The deployment's bucket, the only one there is.
    """
    url = {
        **TEXT,
        "format": "public-url",
        "maxLength": LONGEST_URL,
        "description": "http or https, to a public address or a name that can be looked up.",
    }
    key = {
        "type": ["string", "null"],
        "minLength": 1,
        "maxLength": LONGEST_KEY,
        "format": "object-key",
        "description": "S3 key; {job_id}, {date}, {model}, {tenant}, {role}, {ext} are filled in.",
    }
    optional = {"type": ["object", "null"], "additionalProperties": False}
    return {
        "NewCallback": {
            **optional,
            "required": ["url"],
            "properties": {"url": url, "events": _EVENTS},
        },
        "NewBatchCallback": {**optional, "required": ["url"], "properties": {"url": url}},
        "CallbackUrl": url,
        "NewOutput": {
            **optional,
            "properties": {"bucket": {"enum": [bucket, None]}, "key": key},
        },
        "Job": _job(),
        "Event": _event({"enum": EVENTS}, reference("Job")),
        "TestEvent": _event({"const": "callback.test"}, object_of({"message": TEXT})),
        "Models": _models(),
        "Problem": _problem(),
        "DeadLetter": _dead_letter(),
    }


def _event(kind: Json, data: Json) -> Json:
    return object_of({"type": kind, "timestamp": TIME, "data": data})


def _job() -> Json:
    step = object_of({"status": STATUS, "at": TIME})
    provider = {
        "id": TEXT_OR_NULL,
        "seed": {"type": ["integer", "null"]},
        "cost": {"type": ["number", "null"], "description": "Credits, where it was told."},
        "discarded": _DISCARDED,
        "input_megapixels": {"type": ["number", "null"]},
        "output_megapixels": {"type": ["number", "null"]},
        "resubmits": COUNT,
        "expired": or_null(_EXPIRED),
    }
    return object_of(
        {
            "id": TEXT,
            "model": TEXT,
            "status": STATUS,
            "input": {"type": "object"},
            "metadata": {"type": "object"},
            "region": TEXT_OR_NULL,
            "priority": {"type": "integer"},
            "regenerate": _YES_OR_NO,
            "max_resubmits": {"type": ["integer", "null"], "description": "null: the default."},
            "created_at": TIME,
            "deadline_at": TIME,
            "ended_at": TIME_OR_NULL,
            "timeline": {"type": "array", "items": step},
            "image": or_null(_IMAGE),
            "artifacts": {"type": "array", "items": _artifact()},
            "error": or_null(_ERROR),
            "waiting": or_null(_WAITING),
            "queue": or_null(_QUEUE) | {"description": "Of a queued job, if it is shown alone."},
            "batch": or_null({"id": TEXT, "custom_id": TEXT}),
            "retry_of": TEXT_OR_NULL,
            "retried_as": TEXT_OR_NULL,
            "callback": or_null({**CALLBACK, "events": _CHOSEN}),
            "provider": {"type": "object", "properties": provider},
        }
    )


def _dead_letter() -> Json:
    nothing = {"type": "null"}
    return object_of(
        {
            "kind": {"enum": list(Kind)},
            "at": TIME,
            "job": {"anyOf": [reference("Job"), nothing], "description": "null: see batch."},
            "batch": {
                "anyOf": [reference("Batch"), nothing],
                "description": "The batch whose callback was given up.",
            },
        }
    )


def _models() -> Json:
    parameter = {"type": "object", "description": "kind, required, and the bounds it has."}
    parameters = {"type": "object", "additionalProperties": parameter}
    names = {"type": "array", "items": TEXT}
    variant = object_of({"names": names, "parameters": parameters})
    model = {
        **dict.fromkeys(("name", "endpoint", "source"), TEXT),
        **dict.fromkeys(("webhook", "cost_on_submit"), _YES_OR_NO),
        "most_pixels": {"type": ["integer", "null"]},
        "media": {"enum": list(Media)},
        "parameters": parameters,
        "variant_field": TEXT_OR_NULL,
        "variants": {"type": "array", "items": variant},
    }
    return object_of({"models": {"type": "array", "items": object_of(model)}})


def _problem() -> Json:
    field_error = object_of(dict.fromkeys(("field", "detail", "allowed", "fix"), TEXT))
    required = object_of({"type": TEXT, "title": TEXT, "status": COUNT, "detail": TEXT})
    required["properties"]["count"] = {**COUNT, "description": "Of confirm-mismatch: jobs."}
    required["properties"]["errors"] = {"type": "array", "items": field_error}
    return {**required, "description": "RFC 9457 problem document."}


def _artifact() -> Json:
    required = object_of(_ARTIFACT)
    return {**required, "properties": required["properties"] | _FACTS}


def object_of(properties: Json) -> Json:
    """Return the schema of an object whose properties are all required."""
    return {"type": "object", "required": list(properties), "properties": properties}


def or_null(properties: Json) -> Json:
    """Return the schema of an object with these properties, or null."""
    return {"type": ["object", "null"], "properties": properties}


def reference(name: str) -> Json:
    """Return a reference to one of the schemas."""
    return {"$ref": f"#/components/schemas/{name}"}
