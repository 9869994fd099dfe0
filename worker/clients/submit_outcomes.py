"""The outcomes of a submit, named by what follows for the job, and the answers that mean them."""

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from core.jobs.failures import FailureCode
from core.provider.wire_format import Submission, parse_submission

LONGEST_QUOTE: Final = 500  # characters of the provider's message that are passed on
#: Texts of a 503 that guarantee that no task was made.
_SHEDS_LOAD: Final = re.compile(rb"shedding|over[ _-]?capacity", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider accepted the job."""

    submission: Submission


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider will never accept the job: it fails."""

    code: FailureCode
    message: str


@dataclass(frozen=True, slots=True)
class Busy:
    """All of the account's slots are taken (429): back to the front of the backlog."""

    retry_after: float | None


@dataclass(frozen=True, slots=True)
class AccountRefused:
    """No credits (402) or a bad key (401, 403): the account pauses, the job keeps its place."""

    reason: str


@dataclass(frozen=True, slots=True)
class AcceptedWithoutId:
    """The provider accepted the job, but its answer has no task id: never to be sent again."""

    message: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """The job did not reach the provider, or was refused unprocessed: it may be sent again."""

    message: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Overloaded(NotSent):
    """The provider has no capacity for the model, and refused the job unprocessed."""


@dataclass(frozen=True, slots=True)
class InDoubt:
    """It is unknown whether the job was accepted; repeating it at once could pay twice."""

    message: str


Outcome = Accepted | AcceptedWithoutId | Rejected | Busy | AccountRefused | NotSent | InDoubt


def classify(status: int, raw: bytes, retry_after: float | None) -> Outcome:
    """Return what an answer to a submit means (BFL API guide, errors)."""
    try:
        answer = json.loads(raw)
    except (ValueError, RecursionError):
        answer = None
    detail = answer.get("detail") if isinstance(answer, dict) else None
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        submission = parse_submission(answer)
        return (
            Accepted(submission) if submission else AcceptedWithoutId("an answer without a task id")
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Busy(retry_after)
    bad_key = isinstance(detail, str) and "api key" in detail.lower()
    if status in (401, 402, 403) or (status == HTTPStatus.UNPROCESSABLE_ENTITY and bad_key):
        return AccountRefused(f"{status} {_quoted(detail)}".strip())
    if status == HTTPStatus.TOO_EARLY or (
        status == HTTPStatus.SERVICE_UNAVAILABLE and _SHEDS_LOAD.search(raw)
    ):
        # Refused before any processing (RFC 8470 section 5.2; the provider's own message).
        return Overloaded(f"the provider answered {status}", retry_after)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # The task may have been made and billed before the failure.
        return InDoubt(f"the provider answered {status}")
    message = f"The provider refused the job with {status}: {_quoted(detail)}"
    return Rejected(FailureCode.PROVIDER_REJECTED, message)


def _quoted(detail: Any) -> str:
    """Return the provider's message, shortened, without the caller's input."""
    if isinstance(detail, list):
        parts = (
            f"{_place(item.get('loc'))}: {item.get('msg', '')}"
            for item in detail
            if isinstance(item, dict)
        )
        return "; ".join(parts)[:LONGEST_QUOTE]
    return str(detail or "no reason given")[:LONGEST_QUOTE]


def _place(loc: Any) -> str:
    """Return the location of an error, whatever its type."""
    return ".".join(map(str, loc)) if isinstance(loc, list) else str(loc or "")
