"""`fluxrelay watch`: follows a job or a batch to its end, or all jobs."""

import itertools
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from fluxrelay.cli.commands.batch import followed
from fluxrelay.cli.commands.jobs import IsBatch
from fluxrelay.cli.commands.submit import ended
from fluxrelay.cli.exits import Exit, wrong
from fluxrelay.cli.output import STATUS_STYLES, printable
from fluxrelay.cli.session import Session, command
from fluxrelay.cli.views.jobs import day_or_time, queue_text, seconds_between
from fluxrelay.types.jobs import Job
from fluxrelay.types.reference import Event

_RESET = "reset"

Count = Annotated[int | None, typer.Option(min=1, help="End after so many events.")]


def watch(
    session: Session,
    job: Annotated[
        str | None, typer.Argument(metavar="JOB", help="The id; without it, all your jobs.")
    ] = None,
    *,
    batch: IsBatch = False,
    status: Annotated[
        list[str] | None, typer.Option(metavar="STATUS", help="Only this; may be repeated.")
    ] = None,
    of_batch: Annotated[str | None, typer.Option(metavar="BATCH", help="Only this batch.")] = None,
    after: Annotated[
        str | None, typer.Option(metavar="EVENT", help="Begin after this event of the last hour.")
    ] = None,
    count: Count = None,
) -> Exit | None:
    """Show each status of a job, or how a batch goes on, until its end; or all events."""
    if job is None:
        if batch:
            raise wrong("--batch follows one batch: give its id. Of its events: --of-batch")
        events = session.client.events(last_event_id=after, status=status or None, batch=of_batch)
        genuine = (event for event in events if not _is_reset(session, event))
        for event in itertools.islice(genuine, count):
            _show_event(session, event)
        return None
    if status or of_batch or after or count:
        raise wrong("--status, --of-batch, --after and --count are for all jobs; leave JOB out.")
    if batch:
        return followed(session, session.client.batches.get(job))
    return _watch_one(session, job)


def _watch_one(session: Session, job: str) -> Exit | None:
    known = session.client.jobs
    last = known.get(job)
    shown = _show_steps(session, last, 0)
    if not last.ended:
        for event in known.events(job, last_event_id=str(shown)):
            last = event.job or last
            shown = _show_steps(session, last, shown)
    if session.out.as_json:
        return None if last.succeeded else Exit.FAILED
    return ended(session, last)


def _show_steps(session: Session, job: Job, shown: int) -> int:
    """Show the statuses that a job has taken after the first few; return how many it has taken."""
    steps = job.raw["timeline"]
    for step in steps[shown:]:
        _show_step(session, job.raw, step)
    return len(steps)


def _show_step(session: Session, view: Mapping[str, Any], step: Mapping[str, Any]) -> None:
    if session.out.as_json:
        session.out.line({"job": view["id"], "status": step["status"], "at": step["at"]})
        return
    status = step["status"]
    after = seconds_between(view["created_at"], step["at"])
    style = STATUS_STYLES.get(status, "cyan")
    line = Text.assemble((f"{after:9.3f} s", "dim"), "  ", (status, style))
    queue = view.get("queue")
    if queue and status == "queued":
        line.append(f"  {queue_text(queue)}", "dim")
    session.out.say(line)


def _is_reset(session: Session, event: Event) -> bool:
    if event.type != _RESET:
        return False
    session.out.note(printable(event.data.get("detail", "Earlier events are gone.")))
    return True


def _show_event(session: Session, event: Event) -> None:
    if session.out.as_json:
        session.out.line(event.raw)
        return
    data = event.data
    kind = printable(event.type)
    at = day_or_time(str(data["at"])) if data.get("at") else ""
    subject = printable(data.get("job_id") or data.get("batch") or "")
    style = STATUS_STYLES.get(kind.rpartition(".")[2], "cyan")
    session.out.say(
        Text.assemble((at.ljust(8), "dim"), "  ", (kind.ljust(15), style), "  ", subject)
    )


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "watch")(watch)
