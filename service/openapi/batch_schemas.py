"""The schemas of batches."""

from typing import Final

from core.settings.settings import Settings
from service.batches.checks import LONGEST_CUSTOM_ID
from service.batches.options import ON_ERROR
from service.intake.limits import LARGEST_METADATA, LONGEST_KEY
from service.openapi.schemas import (
    CALLBACK,
    COUNT,
    DEADLINE,
    STATUS,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    TIME_OR_NULL,
    Json,
    object_of,
    or_null,
    reference,
)

_RESULTS_KEY: Final[Json] = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": LONGEST_KEY,
    "format": "results-key",
    "description": "S3 key of the results file; {batch_id}, {date}, {tenant} are filled in. "
    "One that is taken gives way to batches/{batch_id}.ndjson.",
}


def schemas(settings: Settings) -> Json:
    """Return the schemas of bodies and answers."""
    batch = _batch()
    complaint = object_of(dict.fromkeys(("field", "detail", "allowed", "fix"), TEXT))
    complaint["properties"] |= {"line": {**COUNT, "minimum": 1}, "custom_id": TEXT_OR_NULL}
    count = {**COUNT, "description": "Number of complaints; rejected lists the first 1,000."}
    rejected = {"rejected": {"type": "array", "items": complaint}, "rejected_total": count}
    invalid = dict.fromkeys(("type", "title", "detail"), TEXT)
    return {
        "NewBatch": _new_batch(settings),
        "Batch": batch,
        "AcceptedBatch": {**batch, "properties": batch["properties"] | rejected},
        "BatchEvent": object_of(
            {"type": {"const": "batch.completed"}, "timestamp": TIME, "data": reference("Batch")}
        ),
        "InvalidItems": object_of(
            {**invalid, "status": COUNT, "errors": rejected["rejected"], "total": COUNT}
        ),
    }


def new_item(new_job: Json) -> Json:
    """Return the schema of an item, from that of a job of the same model."""
    name = {
        **TEXT,
        "minLength": 1,
        "maxLength": LONGEST_CUSTOM_ID,
        "format": "custom-id",
        "description": "Your name for the item; printable characters, each name once.",
    }
    return {
        **{key: value for key, value in new_job.items() if key != "examples"},
        "required": [*new_job["required"], "custom_id"],
        "properties": {"custom_id": name, **new_job["properties"]},
    }


def _new_batch(settings: Settings) -> Json:
    return {
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {
                "type": "array",
                "minItems": 1,
                "description": f"At most {settings.max_batch_items}.",
                "items": reference("NewItem"),
            },
            "defaults": {
                "type": ["object", "null"],
                "description": "Fields for every item that does not have them itself; those of "
                "input are filled in one by one.",
            },
            "on_error": {
                "enum": [*ON_ERROR, None],
                "description": "What one bad item means: nothing is accepted (reject), or all but "
                "the bad ones are (skip).",
            },
            "callback": reference("NewBatchCallback"),
            "behind_single_jobs": {
                "type": ["boolean", "null"],
                "description": "Whether its jobs wait behind single jobs of their priority. "
                "Default true.",
            },
            "metadata": {
                "type": ["object", "null"],
                "description": f"Given back with the batch; at most {LARGEST_METADATA} bytes.",
            },
            "deadline": DEADLINE,
            "results_key": _RESULTS_KEY,
        },
        "additionalProperties": False,
    }


def _batch() -> Json:
    file = {**dict.fromkeys(("uri", "bucket", "key", "sha256"), TEXT), "bytes": COUNT}
    counts = object_of({"total": COUNT, **dict.fromkeys(STATUS["enum"], COUNT)})
    return object_of(
        {
            "id": TEXT,
            "status": {"enum": ["running", "completed"]},
            "created_at": TIME,
            "ended_at": TIME_OR_NULL,
            "canceled_at": {**TIME_OR_NULL, "description": "When it was first canceled."},
            "estimated_end_at": {**TIME_OR_NULL, "description": "At the pace so far."},
            "metadata": {"type": "object"},
            "counts": counts,
            "cost": {"type": ["number", "null"], "description": "Credits that were told so far."},
            "results": or_null(file),
            "callback": or_null(CALLBACK),
            "retry_of": TEXT_OR_NULL,
            "retried_as": TEXT_OR_NULL,
        }
    )
