"""The callbacks that FluxRelay sends, as the webhooks of the OpenAPI document."""

from collections.abc import Mapping
from typing import Any, Final

from core.jobs.callback_events import CallbackEvent
from core.operations.callbacks.samples import TEST_DATA
from service.openapi.examples import batches, jobs
from service.openapi.operations import json_of
from service.openapi.schemas import EVENTS, TEXT, Json, reference

_SIGNATURE: Final = (
    "One or more signatures according to Standard Webhooks, separated by blanks; one must match. "
    "Each is v1, a comma, and the base64 of the HMAC-SHA256 of webhook-id, a dot, "
    "webhook-timestamp, a dot, and the body. The key is base64 behind the whsec_ of your secret."
)
_HEADERS: Final[Mapping[str, tuple[str, str]]] = {
    "webhook-id": ("The same for each attempt.", "msg_01a1feec-e663-77f8-ba48-1ab172ecb481"),
    "webhook-timestamp": ("Unix time of the attempt in seconds.", "1795278301"),
    "webhook-signature": (
        _SIGNATURE,
        "v1,+bjIxyAlIQibLA/811OfIE16NZtfDGQnVHNcaCooPrs=",
    ),
}
_DATA: Final[Mapping[str, Mapping[str, Any]]] = {
    "job.generating": jobs.GENERATING,
    "job.succeeded": jobs.SUCCEEDED,
    "job.failed": jobs.FAILED,
    "job.canceled": jobs.CANCELED,
}
_TESTED_AT: Final = "2026-11-21T16:25:00.771Z"


def webhooks() -> Json:
    """Return what is sent to callers' receivers, by the type of the event."""
    of_jobs = {event: _job_event(event, _DATA[event]) for event in EVENTS}
    batch = batches.COMPLETED
    others = {
        CallbackEvent.BATCH_COMPLETED: _sent(
            "BatchEvent",
            {"type": "batch.completed", "timestamp": batch["ended_at"], "data": batch},
            "batch.completed, sent to the callback.url of a batch",
        ),
        CallbackEvent.TEST: _sent(
            "TestEvent",
            {"type": "callback.test", "timestamp": _TESTED_AT, "data": dict(TEST_DATA)},
            "callback.test, sent by POST /v1/callbacks/test",
        ),
    }
    return {str(event): {"post": sent} for event, sent in (of_jobs | others).items()}


def _job_event(event: str, job: Mapping[str, Any]) -> Json:
    at = job["ended_at"] or job["timeline"][-1]["at"]
    example = {"type": event, "timestamp": at, "data": job}
    return _sent("Event", example, f"{event}, sent to callback.url")


def _sent(schema: str, example: Mapping[str, Any], summary: str) -> Json:
    body = json_of(reference(schema))
    body["application/json"]["example"] = example
    return {
        "operationId": example["type"].replace(".", "_"),
        "tags": ["Callbacks"],
        "summary": summary,
        "description": "Verify the signature over the body as it arrived, store the webhook-id, "
        "and answer within 15 s. Answer 2xx to types that you do not handle.",
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": holds,
                "schema": TEXT,
                "example": value,
            }
            for name, (holds, value) in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": body},
        "responses": {
            "2XX": {"description": "It was taken."},
            "410": {"description": "It is not wanted: it is not sent again."},
            "default": {"description": "It was not taken: it is sent again, for a day."},
        },
        "security": [],
    }
