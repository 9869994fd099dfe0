"""Failure codes and what follows from them."""

import json
from enum import StrEnum
from typing import Any, Final

from core.whole_json import whole_json


class FailureCode(StrEnum):
    """Why a job failed; a closed set that callers can rely on."""

    INVALID_INPUT = "invalid_input"
    REQUEST_MODERATED = "request_moderated"
    CONTENT_MODERATED = "content_moderated"
    PROVIDER_ERROR = "provider_error"
    PROVIDER_REJECTED = "provider_rejected"
    RESULT_EXPIRED = "result_expired"
    STORAGE_FAILED = "storage_failed"
    TIMED_OUT = "timed_out"
    LOST = "lost"


#: Codes after which the same job may succeed when retried.
RETRYABLE: Final = frozenset(
    {
        FailureCode.PROVIDER_ERROR,
        FailureCode.RESULT_EXPIRED,
        FailureCode.STORAGE_FAILED,
        FailureCode.TIMED_OUT,
        FailureCode.LOST,
    }
)


#: Codes that make a job a dead letter: it may succeed without a change by its caller.
DEAD_LETTER: Final = RETRYABLE | {FailureCode.PROVIDER_REJECTED}


def code_of(error: object) -> str | None:
    """Return the code of an `error_record`; None if `error` is not one."""
    return str(json.loads(error)["code"]) if isinstance(error, str) else None


def error_record(code: FailureCode, message: str, **details: Any) -> str:
    """Return the `error` field of a failed job: code, message, retryable, and details."""
    record = {"code": code, "message": message, "retryable": code in RETRYABLE}
    return whole_json(record | {name: value for name, value in details.items() if value})
