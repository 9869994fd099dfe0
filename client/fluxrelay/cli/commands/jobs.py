"""`fluxrelay get`, `list`, `cancel` and `retry`."""

import itertools
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from fluxrelay.cli.exits import CommandFailed, Exit, wrong
from fluxrelay.cli.output import printable
from fluxrelay.cli.session import Session, command
from fluxrelay.cli.values import named_values, time_value
from fluxrelay.cli.views.batches import BATCH_HEADINGS, batch_facts, batch_line, batch_row
from fluxrelay.cli.views.jobs import HEADINGS, job_facts, job_row, status_line
from fluxrelay.errors import ConfirmMismatchError, ConflictError
from fluxrelay.types.jobs import Job

_ANY_COUNT = 0  # of jobs: asks for how many there are, for it is never confirmed
_PAGE = 100

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The id.")]
IsBatch = Annotated[bool, typer.Option("--batch", help="The id is a batch's.")]
Status = Annotated[
    list[str] | None, typer.Option(metavar="STATUS", help="Of this status; may be repeated.")
]
OfModel = Annotated[str | None, typer.Option("--model", "-m", help="Of this model.")]
After = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Created then or later: 24h (ago), 2026-01-31 or ISO 8601."),
]
Before = Annotated[str | None, typer.Option(metavar="TIME", help="Created earlier than that.")]
OfBatch = Annotated[str | None, typer.Option("--of-batch", metavar="BATCH", help="Of this batch.")]
Indexed = Annotated[
    list[str] | None, typer.Option("--metadata", metavar="NAME=VALUE", help="With this metadata.")
]


def get(session: Session, job: JobId, *, batch: IsBatch = False) -> None:
    """Show a job, or a batch."""
    if batch:
        _show_batch(session, session.client.batches.get(job).raw)
    else:
        _show_job(session, session.client.jobs.get(job))


def list_jobs(
    session: Session,
    *,
    status: Status = None,
    model: OfModel = None,
    created_after: After = None,
    created_before: Before = None,
    of_batch: OfBatch = None,
    metadata: Indexed = None,
    batches: Annotated[bool, typer.Option("--batches", help="List batches.")] = False,
    callback: Annotated[
        str | None, typer.Option(metavar="STATE", help="Batches whose callback is so, as dead.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, at most.")] = 20,
) -> None:
    """List jobs, or batches, the newest first."""
    if batches:
        _list_batches(session, callback, limit)
        return
    if callback:
        raise wrong("--callback is for --batches; jobs: fluxrelay dead-letters list")
    listed = session.client.jobs.iterate(
        status=status or None,
        model=model,
        created_after=time_value(created_after),
        created_before=time_value(created_before),
        batch=of_batch,
        metadata=named_values(metadata),
        limit=min(limit, _PAGE),
    )
    found = [job.raw for job in itertools.islice(listed, limit)]
    session.out.listed("jobs", found, job_row, headings=HEADINGS, title="id", cut=True)


def _list_batches(session: Session, callback: str | None, limit: int) -> None:
    listed = session.client.batches.iterate(callback=callback, limit=min(limit, _PAGE))
    found = [batch.raw for batch in itertools.islice(listed, limit)]
    session.out.listed("batches", found, batch_row, headings=BATCH_HEADINGS, title="id")


def cancel(
    session: Session,
    job: Annotated[list[str] | None, typer.Argument(metavar="JOB", help="Ids.")] = None,
    *,
    batch: IsBatch = False,
    status: Status = None,
    model: OfModel = None,
    created_after: After = None,
    created_before: Before = None,
    of_batch: OfBatch = None,
    metadata: Indexed = None,
    everything: Annotated[bool, typer.Option("--all", help="All of your jobs.")] = False,
    confirm: Annotated[
        int | None, typer.Option(metavar="COUNT", help="Cancel if so many match, else none.", min=0)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Cancel jobs by their ids, a batch, or all jobs that match filters."""
    filters = {
        "status": status or None,
        "model": model,
        "created_after": time_value(created_after),
        "created_before": time_value(created_before),
        "batch": of_batch,
        "metadata": named_values(metadata),
        "all": everything or None,
    }
    chosen = {name: value for name, value in filters.items() if value is not None}
    if bool(job) == bool(chosen):
        raise wrong("Give ids, or filters (or --all), and not both; see: fluxrelay cancel --help")
    if job and confirm is not None:
        raise wrong("--confirm is for filters; leave it out.")
    if chosen:
        _cancel_many(session, chosen, confirm=confirm, yes=yes)
        return
    results = [_canceled(session, one, batch=batch) for one in job or ()]
    if session.out.as_json:
        shown = [one for one in results if not isinstance(one, str)]
        session.out.document({"batches" if batch else "jobs": shown})
    if failures := [one for one in results if isinstance(one, str)]:
        raise CommandFailed(Exit.REFUSED, *failures)


def _canceled(session: Session, one: str, *, batch: bool) -> Mapping[str, Any] | str:
    """Cancel a job or a batch and show it; return it, or why it cannot be canceled."""
    try:
        if batch:
            view = session.client.batches.cancel(one).raw
            session.out.say(batch_line(view))
        else:
            view = session.client.jobs.cancel(one).raw
            session.out.say(status_line(view))
            if view["status"] != "canceled":
                session.out.note(f"{one} had ended before; there was nothing to cancel.")
    except ConflictError as error:
        return f"{one}: {error.detail}"
    return view


def _cancel_many(
    session: Session, chosen: Mapping[str, Any], *, confirm: int | None, yes: bool
) -> None:
    client, out = session.client, session.out
    count = 0
    try:
        result = client.jobs.cancel_many(_ANY_COUNT if confirm is None else confirm, **chosen)
    except ConfirmMismatchError as error:
        if confirm is not None:
            raise
        count = error.count or 0
    if count:
        if not yes:
            _ask(session, count)
        result = client.jobs.cancel_many(count, **chosen)
    if out.as_json:
        out.document(result.raw)
    moved_on = f"; {result.not_canceled:,} had moved on" if result.not_canceled else ""
    out.say(f"{result.canceled:,} jobs are canceled{moved_on}.")


def _ask(session: Session, count: int) -> None:
    """Ask whether to cancel so many jobs.

    Raises:
        CommandFailed: The answer is no, or there is nobody to ask.
    """
    if not session.out.for_people:
        raise wrong(f"This would cancel {count:,} jobs; add --confirm {count}, or --yes.")
    if not typer.confirm(f"Cancel {count:,} jobs?", err=True):
        raise CommandFailed(Exit.FAILED, "Nothing is canceled.")


def retry(session: Session, job: JobId, *, batch: IsBatch = False) -> None:
    """Run a failed job again, as a new job, or what failed of a batch, as a new batch."""
    known = session.client
    new = known.batches.retry(job).raw if batch else known.jobs.retry(job).raw
    if session.out.as_json:
        session.out.document(new)
    session.out.say(printable(new["id"]))
    option = "--batch " if batch else ""
    session.out.note(f"To follow it: fluxrelay watch {option}{new['id']}")
    session.out.note(f"To save its files, once it has ended: fluxrelay save {option}{new['id']}")


def _show_job(session: Session, job: Job) -> None:
    if session.out.as_json:
        session.out.document(job.raw)
    session.out.say(status_line(job.raw))
    session.out.facts(job_facts(job.raw))


def _show_batch(session: Session, batch: Mapping[str, Any]) -> None:
    if session.out.as_json:
        session.out.document(batch)
    session.out.say(batch_line(batch))
    session.out.facts(batch_facts(batch))


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "get")(get)
    command(app, "list")(list_jobs)
    command(app, "cancel")(cancel)
    command(app, "retry")(retry)
