"""A batch as people see it."""

from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

from fluxrelay.cli.output import printable
from fluxrelay.cli.views.jobs import (
    callback_text,
    day_and_time,
    day_or_time,
    named_text,
    seconds_between,
)

View = Mapping[str, Any]
BATCH_HEADINGS: Final = ("created", "status", "id", "jobs")
RESULT_HEADINGS: Final = ("custom_id", "status", "result")
_ENDS: Final = ("succeeded", "failed", "canceled")


def batch_line(batch: View) -> Text:
    """Return a line of a batch's status and id."""
    counts = batch["counts"]
    bad = counts["failed"] + counts["canceled"]
    mark, style = ("✓", "green") if not bad else ("✗", "red")
    took = ""
    if batch["status"] != "completed":
        mark, style = "●", "cyan"
    elif batch["ended_at"]:
        took = f" in {seconds_between(batch['created_at'], batch['ended_at']):.1f} s"
    name = (str(batch["id"]), "bold")
    return Text.assemble((f"{mark} {batch['status']}", style), took, "  ", name)


def batch_facts(batch: View) -> list[tuple[str, str | Text]]:
    """Return what is to know of a batch, as names and values."""
    facts: list[tuple[str, str | Text]] = [("jobs", counts_text(batch))]
    if batch["metadata"]:
        facts.append(("metadata", named_text(batch["metadata"])))
    facts.append(("created", day_and_time(batch["created_at"])))
    if canceled := batch.get("canceled_at"):
        facts.append(("canceled", day_and_time(canceled)))
    if batch["estimated_end_at"] and batch["status"] != "completed":
        facts.append(("ends about", day_and_time(batch["estimated_end_at"])))
    if batch["cost"] is not None:
        facts.append(("cost", f"{batch['cost']:g} credits, as far as reported"))
    if batch["results"]:
        facts.append(("results", printable(batch["results"]["uri"])))
    if batch["callback"]:
        facts.append(("callback", callback_text(batch["callback"])))
    for name, label in (("retry_of", "retry of"), ("retried_as", "retried as")):
        if batch[name]:
            facts.append((label, batch[name]))
    return facts


def batch_row(batch: View) -> tuple[str, ...]:
    """Return a batch's row of the list."""
    return day_or_time(batch["created_at"]), batch["status"], batch["id"], counts_text(batch)


def result_row(result: View) -> tuple[str, ...]:
    """Return the row of what became of an item: its files, or why there are none."""
    if error := result.get("error"):
        outcome = f"{error['code']}: {error['message']}"
    else:
        outcome = ", ".join(str(one["uri"]) for one in result.get("artifacts") or ())
    return str(result["custom_id"]), result["status"], outcome


def counts_text(batch: View) -> str:
    """Return how many jobs there are, and how many of each status that has any."""
    counts = batch["counts"]
    parts = [f"{counts[name]:,} {name}" for name in counts if name != "total" and counts[name]]
    return f"{counts['total']:,}: " + ", ".join(parts) if parts else f"{counts['total']:,}"


def ended_jobs(batch: View) -> int:
    """Return how many jobs of a batch have ended."""
    return sum(batch["counts"][name] for name in _ENDS)
