"""Callbacks and their secret."""

from typing import Final

from service.openapi.operations import (
    JOB_ID,
    NO_JOB,
    NO_KEY,
    STORES_AWAY,
    accepted,
    answer,
    json_of,
    operation,
    problems,
)
from service.openapi.schemas import TEXT, Json, object_of

_TAG: Final = "Callbacks"


def paths() -> Json:
    """Return the endpoints."""
    return {
        "/v1/jobs/{job_id}/callback": {"parameters": [JOB_ID], "post": _resend()},
        "/v1/callback-secret": {"get": _secret()},
    }


def _resend() -> Json:
    return operation(
        "resend_callback",
        _TAG,
        "Send a callback again",
        "Sends the callback of an ended job again, with the same webhook-id and a full day for new "
        "attempts. One that is pending is sent now.",
        accepted("The callback will be sent."),
        problems(
            NO_KEY,
            NO_JOB,
            ("409", "The job has not ended, or has no callback."),
            STORES_AWAY,
        ),
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
        problems(NO_KEY),
    )
