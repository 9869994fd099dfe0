"""Parses the options of a job besides model and input; errors are added to a list."""

import json
from typing import Any

from core.text_values import MOST_RESUBMITS
from service.http.caller_values import NOT_UNICODE, is_unicode, kind_of, shown
from service.http.problems import FieldError
from service.intake.lenient_values import whole
from service.intake.limits import HIGHEST_PRIORITY, LARGEST_METADATA


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
        detail = f"is {kind_of(given)}"
    elif len(text) > LARGEST_METADATA:
        detail = f"has {len(text)} bytes"
    elif "\\ud" in text and not is_unicode(json.dumps(given, ensure_ascii=False)):
        detail, fix = NOT_UNICODE, "send whole characters"
    else:
        return given
    allowed = f"an object of at most {LARGEST_METADATA} bytes as JSON"
    errors.append(FieldError("metadata", detail, allowed, fix))
    return {}
