"""Attempts to deliver callbacks, and dead letters, as people see them."""

from collections.abc import Mapping
from typing import Any, Final

from fluxrelay.cli.views.jobs import day_or_time

View = Mapping[str, Any]
ATTEMPT_HEADINGS: Final = ("at", "event", "of", "answer")
LETTER_HEADINGS: Final = ("at", "kind", "of", "reason")


def attempt_row(attempt: View) -> tuple[str, ...]:
    """Return an attempt's row of the list."""
    of = attempt["job_id"] or attempt["batch_id"] or "a sample"
    mark = "✓" if attempt["outcome"] == "delivered" else "✗"
    return day_or_time(attempt["at"]), attempt["type"], of, f"{mark} {answer_text(attempt)}"


def answer_text(attempt: View) -> str:
    """Return what a receiver answered, and how soon, or why it did not."""
    if attempt["status"] is None:
        return str(attempt["error"])
    return f"{attempt['status']} in {attempt['milliseconds']:.0f} ms"


def letter_row(letter: View) -> tuple[str, ...]:
    """Return a dead letter's row of the list: why the job or the callback failed."""
    about = letter["job"] or letter["batch"]
    if letter["kind"] == "job":
        reason = f"{about['error']['code']}: {about['error']['message']}"
    else:
        callback = about["callback"]
        last = (callback["log"] or [{}])[-1]
        reason = f"{callback['url']}: {last.get('error') or last.get('status')}"
    return day_or_time(letter["at"]), letter["kind"], about["id"], reason
