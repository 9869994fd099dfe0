"""A task's statuses, and the outcomes that are decided before its image is drawn."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """A task's status as the API spells it (BFL OpenAPI, StatusResponse)."""

    PENDING = "Pending"
    REASONING = "Reasoning"
    GENERATING = "Generating"
    READY = "Ready"
    REQUEST_MODERATED = "Request Moderated"
    CONTENT_MODERATED = "Content Moderated"
    ERROR = "Error"


#: The stages of a running task: each status and the progress at which it ends.
STAGES: Final = ((0.1, Status.PENDING), (0.35, Status.REASONING), (1.0, Status.GENERATING))
#: The moderation reasons that are used unless the prompt chooses others.
USUAL_REASON: Final = "Violence"
_MODERATION: Final = re.compile(r"moderate-(request|content)(?:=([A-Za-z]+(?:[-+][A-Za-z]+)*))?")


@dataclass(frozen=True)
class Ending:
    """An outcome of a task other than an image; `details` is what the API reports about it."""

    status: Status
    details: dict[str, object] | None


def failure(error: str) -> Ending:
    """Return the outcome of a task that failed for this reason."""
    return Ending(Status.ERROR, {"error": error})


def asked_ending(prompt: str) -> Ending | None:
    """Return the outcome that the words of a prompt ask for, if any.

    `moderate-request` and `moderate-content` may name reasons, as in
    `moderate-content=Sexual-Content+Violence`; `=none` gives no reason, as the provider sometimes
    does.
    """
    if found := _MODERATION.search(prompt):
        kind, named = found.groups()
        status = Status.REQUEST_MODERATED if kind == "request" else Status.CONTENT_MODERATED
        if named == "none":
            return Ending(status, None)
        reasons = [reason.replace("-", " ") for reason in (named or USUAL_REASON).split("+")]
        return Ending(status, {"Moderation Reasons": reasons})
    return failure("Generation failed") if "fail-generation" in prompt else None
