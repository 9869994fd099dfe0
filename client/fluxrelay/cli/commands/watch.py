"""`fluxrelay watch`: shows each status of a job as it comes, and ends with the job."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.text import Text

from fluxrelay.cli.commands.submit import ended
from fluxrelay.cli.exits import Exit
from fluxrelay.cli.output import STATUS_STYLES
from fluxrelay.cli.session import Session, command
from fluxrelay.cli.views.jobs import queue_text, seconds_between
from fluxrelay.cli.waiting import await_end


def watch(
    session: Session,
    job: Annotated[str, typer.Argument(metavar="JOB", help="The id.")],
) -> Exit | None:
    """Show each status of a job until it ends."""
    known = session.client.jobs
    shown = 0

    def look(seconds: int) -> Mapping[str, Any]:
        return known.get(job, wait=seconds).raw

    def show(view: Mapping[str, Any]) -> None:
        nonlocal shown
        steps = view["timeline"]
        for step in steps[shown:]:
            _show(session, view, step)
        shown = len(steps)

    await_end(look, show)
    if session.out.as_json:
        return None if known.get(job).status == "succeeded" else Exit.FAILED
    return ended(session, known.get(job))


def _show(session: Session, view: Mapping[str, Any], step: Mapping[str, Any]) -> None:
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


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "watch")(watch)
