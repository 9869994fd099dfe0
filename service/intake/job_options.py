"""Parses the options of a job besides model and input; errors are added to a list."""

import json
import re
import time
from collections.abc import Collection
from typing import Any, Final

from core.jobs.callback_events import OF_A_JOB
from core.text_values import MOST_RESUBMITS
from core.timestamps import unix_time
from service.http.caller_values import NOT_UNICODE, is_unicode, kind_of, shown
from service.http.problems import FieldError
from service.intake.lenient_values import whole
from service.intake.limits import (
    DEADLINE_PATTERN,
    HIGHEST_PRIORITY,
    LARGEST_METADATA,
    LONGEST_DEADLINE,
    SHORTEST_DEADLINE,
)

_SECONDS: Final = f"{SHORTEST_DEADLINE} to {LONGEST_DEADLINE} seconds from now"
_HEADER: Final = "Cancel-After"


def priority(given: Any, errors: list[FieldError]) -> int:
    """Return the priority; 0 if absent."""
    if given is None:
        return 0
    given = whole(given)
    fits = isinstance(given, int) and not isinstance(given, bool)
    if fits and -HIGHEST_PRIORITY <= given <= HIGHEST_PRIORITY:
        return int(given)
    allowed = f"a whole number from {-HIGHEST_PRIORITY} to {HIGHEST_PRIORITY}, higher goes first"
    errors.append(FieldError("priority", f"is {shown(given)}", allowed, f"send {allowed}"))
    return 0


def callback_events(callback: Any, errors: list[FieldError]) -> tuple[str, ...]:
    """Return the types of the events that a job's `callback` names; empty if it names none."""
    given = callback.get("events") if isinstance(callback, dict) else None
    if given is None:
        return ()
    allowed = f"an array of one or more of {', '.join(OF_A_JOB)}"
    values = given if isinstance(given, list) else []
    unknown = [one for one in values if one not in OF_A_JOB]
    if not values:
        detail = "is empty" if isinstance(given, list) else f"is {kind_of(given)}"
    elif unknown:
        detail = f"has {shown(unknown[0])}"
    else:
        return tuple(dict.fromkeys(values))
    fix = f"send {allowed}, or leave it out to be told of the end"
    errors.append(FieldError("callback.events", detail, allowed, fix))
    return ()


def regenerate(given: Any, errors: list[FieldError]) -> bool:
    """Return whether to regenerate, and pay for, a result that expired before it was stored."""
    if given is not None and not isinstance(given, bool):
        fix = "send true to pay for a second result rather than lose the first, or leave it out"
        errors.append(FieldError("regenerate", f"is {shown(given)}", "true or false", fix))
    return given is True


def max_resubmits(given: Any, errors: list[FieldError]) -> int | None:
    """Return the most resubmits after doubtful submits; None if absent."""
    if given is None:
        return None
    given = whole(given)
    fits = isinstance(given, int) and not isinstance(given, bool)
    if fits and 0 <= given <= MOST_RESUBMITS:
        return int(given)
    allowed = f"a whole number from 0 to {MOST_RESUBMITS}"
    fix = "send 0 to never pay for a second task, or leave it out"
    errors.append(FieldError("max_resubmits", f"is {shown(given)}", allowed, fix))
    return None


def metadata(given: Any, errors: list[FieldError]) -> dict[str, Any]:
    """Return the caller's metadata; empty if absent."""
    if given is None:
        return {}
    text, fix = json.dumps(given), "shorten it"
    if not isinstance(given, dict):
        detail, fix = f"is {kind_of(given)}", "send an object, or leave it out"
    elif len(text) > LARGEST_METADATA:
        detail = f"has {len(text)} bytes"
    elif "\\ud" in text and not is_unicode(json.dumps(given, ensure_ascii=False)):
        detail, fix = NOT_UNICODE, "send whole characters"
    else:
        return given
    allowed = f"an object of at most {LARGEST_METADATA} bytes as JSON"
    errors.append(FieldError("metadata", detail, allowed, fix))
    return {}


def cancel_after(values: Collection[str], errors: list[FieldError]) -> int | None:
    """Return the seconds in the `Cancel-After` header; None if absent.

    Args:
        values: Every value that was sent.
        errors: Gets what is wrong.
    """
    if not values:
        return None
    text, *others = dict.fromkeys(values)
    if others:
        detail = "is given more than once, with different values"
        errors.append(FieldError(_HEADER, detail, "one value", "send it once"))
        return None
    if re.fullmatch(DEADLINE_PATTERN, text):
        return int(text)
    allowed = f"a whole number of {_SECONDS}"
    errors.append(FieldError(_HEADER, f"is {shown(text)}", allowed, f"send {allowed}"))
    return None


def deadline(given: Any, header: int | None, errors: list[FieldError]) -> float | None:
    """Return the Unix time at which the job is to end; None if its model decides.

    Args:
        given: The field of the body: seconds from now, or an ISO 8601 time.
        header: What `cancel_after` returned.
        errors: Gets what is wrong.
    """
    now = time.time()
    if given is None:
        return None if header is None else now + header
    if header is not None:
        detail = f"is given beside the {_HEADER} header"
        errors.append(FieldError("deadline", detail, "one of both", "leave one out"))
        return None
    at = _time_of(given, now)
    if at is not None and SHORTEST_DEADLINE <= round(at - now, 3) <= LONGEST_DEADLINE:
        return at
    allowed = f"a number of {_SECONDS}, or an ISO 8601 time with its zone that is as far ahead"
    errors.append(FieldError("deadline", f"is {shown(given)}", allowed, f"send {allowed}"))
    return None


def _time_of(given: Any, now: float) -> float | None:
    if isinstance(given, str):
        try:
            return unix_time(given)
        except (ValueError, OverflowError):
            return None
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    # A number that no float can hold is out of bounds anyway.
    return now + given if is_number and abs(given) <= LONGEST_DEADLINE else None
