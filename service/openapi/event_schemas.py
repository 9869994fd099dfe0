"""The schemas of server-sent events.

OpenAPI 3.1 has no keyword for the items of a stream. `x-itemSchema` says what `itemSchema` does in
OpenAPI 3.2: how an event looks, its fields and the JSON in its data.
"""

from collections.abc import Sequence
from typing import Final

from core.jobs.status import Status
from service.openapi.schemas import (
    STATUS,
    TEXT,
    TEXT_OR_NULL,
    TIME,
    Json,
    object_of,
    reference,
)

_OF_JOBS: Final = [f"job.{status}" for status in Status]
_BATCH: Final[Json] = {**TEXT_OR_NULL, "description": "The batch of the job, if it has one."}
SCHEMAS: Final[Json] = {
    "JobEvent": object_of({"job": reference("Job"), "status": STATUS, "at": TIME}),
    "StatusEvent": object_of({"job_id": TEXT, "status": STATUS, "at": TIME, "batch": _BATCH}),
    "BatchEndEvent": object_of(
        {"job_id": {"type": "null"}, "status": {"const": "completed"}, "at": TIME, "batch": TEXT}
    ),
    "ResetEvent": {
        **object_of({"detail": TEXT}),
        "description": "Events before this one are gone: list your jobs to catch up.",
    },
}


def _item(events: Sequence[str], name: str) -> Json:
    """Return the schema of events of some types, whose data has a schema."""
    data = {**TEXT, "contentMediaType": "application/json", "contentSchema": reference(name)}
    return object_of({"id": TEXT, "event": {"enum": list(events)}, "data": data})


OF_A_JOB: Final[Json] = _item(_OF_JOBS, "JobEvent")
OF_ALL_JOBS: Final[Json] = {
    "oneOf": [
        _item(_OF_JOBS, "StatusEvent"),
        _item(["batch.completed"], "BatchEndEvent"),
        _item(["reset"], "ResetEvent"),
    ]
}
