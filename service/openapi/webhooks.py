"""The callbacks that FluxRelay sends, as the webhooks of the OpenAPI document."""

from collections.abc import Mapping
from typing import Any, Final

from service.openapi.examples import batches, jobs
from service.openapi.operations import json_of
from service.openapi.schemas import EVENTS, TEXT, Json, reference

_HEADERS: Final[Mapping[str, tuple[str, str]]] = {
    "webhook-id": ("The same for each attempt.", "msg_01a1feec-e663-77f8-ba48-1ab172ecb481"),
    "webhook-timestamp": ("Unix time of the attempt in seconds.", "1795278301"),
    "webhook-signature": (
        "One or more signatures according to Standard Webhooks; one must match.",
        "v1,+bjIxyAlIQibLA/811OfIE16NZtfDGQnVHNcaCooPrs=",
    ),
}
_DATA: Final[Mapping[str, Mapping[str, Any]]] = {
    "job.generating": jobs.GENERATING,
    "job.succeeded": jobs.SUCCEEDED,
    "job.failed": jobs.FAILED,
    "job.canceled": jobs.CANCELED,
}


def webhooks() -> Json:
    """Return what is sent to `callback.url`, by the type of the event."""
    sent = {event: {"post": _sent(event, _DATA[event], "Event")} for event in EVENTS}
    event, data = "batch.completed", batches.COMPLETED
    return sent | {event: {"post": _sent(event, data, "BatchEvent")}}


def _sent(event: str, data: Mapping[str, Any], schema: str) -> Json:
    example = {
        "type": event,
        "timestamp": data["ended_at"] or data["timeline"][-1]["at"],
        "data": data,
    }
    body = json_of(reference(schema))
    body["application/json"]["example"] = example
    return {
        "operationId": event.replace(".", "_"),
        "tags": ["Callbacks"],
        "summary": f"{event}, sent to callback.url",
        "description": "Verify the signature over the body as it arrived, store the webhook-id, "
        "and answer within 15 s.",
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": holds,
                "schema": TEXT,
                "example": example,
            }
            for name, (holds, example) in _HEADERS.items()
        ],
        "requestBody": {"required": True, "content": body},
        "responses": {
            "2XX": {"description": "It was taken."},
            "410": {"description": "It is not wanted: it is not sent again."},
            "default": {"description": "It was not taken: it is sent again, for a day."},
        },
        "security": [],
    }
