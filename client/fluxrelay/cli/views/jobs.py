"""A job as people see it."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from rich.text import Text

from fluxrelay.cli.output import STATUS_STYLES, printable

_MARKS: Final = {"succeeded": "✓", "failed": "✗", "canceled": "✗"}
_HALF_A_YEAR: Final = timedelta(days=182)
#: How a job shows a file that was sent with it.
_FILE: Final = {"bytes_in": "s3"}
_LONGEST: Final = 200  # characters of a prompt or a value

View = Mapping[str, Any]
HEADINGS: Final = ("created", "status", "id", "model", "prompt")


def status_line(job: View) -> Text:
    """Return a line of a job's status and id, and how long it took."""
    status = str(job["status"])
    style = STATUS_STYLES.get(status, "cyan")
    took = ""
    if job["ended_at"]:
        took = f" in {seconds_between(job['created_at'], job['ended_at']):.2f} s"
    return Text.assemble(
        (f"{_MARKS.get(status, '●')} {status}", style), took, "  ", (str(job["id"]), "bold")
    )


def live_line(job: View) -> Text:
    """Return a line of how a job that has not ended goes on."""
    line = Text.assemble((str(job["status"]), "cyan"), "  ", str(job["id"]))
    if queue := job.get("queue"):
        line.append(f"  {queue_text(queue)}", "dim")
    elif waiting := job["waiting"]:
        line.append(f"  waits for: {waiting['for']}", "dim")
    return line


def job_row(job: View) -> tuple[str, ...]:
    """Return a job's row of the list."""
    prompt = printable(job["input"].get("prompt", ""))
    return day_or_time(job["created_at"]), job["status"], job["id"], job["model"], prompt


def job_facts(job: View) -> list[tuple[str, str | Text]]:
    """Return what is to know of a job, as names and values."""
    facts: list[tuple[str, str | Text]] = [("model", printable(job["model"]))]
    values = dict(job["input"])
    if "prompt" in values:
        facts.append(("prompt", Text(_short(values.pop("prompt")), style="italic")))
    if values:
        facts.append(("input", named_text(values)))
    if job["metadata"]:
        facts.append(("metadata", named_text(job["metadata"])))
    facts.append(("created", day_and_time(job["created_at"])))
    facts.append(("timeline", _timeline(job)))
    facts += _state(job)
    for artifact in job["artifacts"]:
        facts.append((printable(artifact["role"]), printable(artifact["uri"])))
        facts.append(("", _measures(artifact)))
    cost = job["provider"]["cost"]
    if cost is not None:
        facts.append(("cost", f"{cost:g} credits"))
    facts += _links(job)
    return facts


def _state(job: View) -> list[tuple[str, str | Text]]:
    facts: list[tuple[str, str | Text]] = []
    if queue := job.get("queue"):
        facts.append(("queue", queue_text(queue)))
    if waiting := job["waiting"]:
        problem = printable(waiting.get("last_problem") or "")
        facts.append(("waits for", f"{waiting['for']} {problem}".strip()))
    if error := job["error"]:
        text = f"{error['code']}: {error['message']}"
        facts.append(("error", Text(printable(text), style="red")))
    if job["provider"]["discarded"]:
        facts.append(("discarded", "what the provider makes of it, which may be billed"))
    return facts


def named_text(values: View) -> str:
    """Return names and values on one line."""
    return ", ".join(f"{printable(name)}={_short(_shown(v))}" for name, v in values.items())


def _shown(value: object) -> object:
    """Return a value of JSON as text; a file is only named so."""
    if value == _FILE:
        return "(file)"
    if isinstance(value, list):
        return ", ".join(str(_shown(one)) for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def callback_text(callback: View) -> str:
    """Return how a callback stands, after how many attempts, and its URL."""
    tries = callback["attempts"]
    count = f" after {tries} attempt{'s' if tries > 1 else ''}" if tries else ""
    return printable(f"{callback['state']}{count}, {callback['url']}")


def queue_text(queue: View) -> str:
    """Return how many jobs are ahead, and when this one starts about."""
    position = queue["position"]
    ahead = "next" if position == 0 else f"{position:,} ahead"
    starts = queue.get("estimated_start_at")
    return f"{ahead}, starts about {day_or_time(starts)}" if starts else ahead


def _links(job: View) -> list[tuple[str, str | Text]]:
    facts: list[tuple[str, str | Text]] = []
    if job["callback"]:
        facts.append(("callback", callback_text(job["callback"])))
    if batch := job.get("batch"):
        facts.append(("batch", printable(f"{batch['id']}, {batch['custom_id']}")))
    for name, label in (("retry_of", "retry of"), ("retried_as", "retried as")):
        if job[name]:
            facts.append((label, job[name]))
    return facts


def _timeline(job: View) -> str:
    steps: Sequence[View] = job["timeline"]
    begin = job["created_at"]
    return " · ".join(
        f"{step['status']} {seconds_between(begin, step['at']):.3f}" for step in steps
    )


def _measures(artifact: View) -> str:
    parts = []
    if artifact.get("width"):
        parts.append(f"{artifact['width']} x {artifact['height']}")
    if artifact.get("seconds"):
        parts.append(f"{artifact['seconds']:g} s")
    parts += [printable(artifact["content_type"]), f"{artifact['bytes']:,} bytes"]
    return ", ".join(parts)


def moment(text: str) -> datetime:
    """Return a time of the API."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 knows no Z


def seconds_between(begin: str, end: str) -> float:
    """Return the seconds from one time of the API to another."""
    return (moment(end) - moment(begin)).total_seconds()


def day_and_time(text: str) -> str:
    """Return a time of the API in the local time zone, which is named, to the second."""
    return moment(text).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def day_or_time(text: str) -> str:
    """Return a time of the API in the local time zone: of today the time, else the day or month."""
    at, now = moment(text).astimezone(), datetime.now(timezone.utc).astimezone()
    if at.date() == now.date():
        return at.strftime("%H:%M:%S")
    return at.strftime("%b %d" if abs(now - at) < _HALF_A_YEAR else "%b %Y")


def _short(value: object) -> str:
    text = printable(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
