"""`fluxrelay batch`: sends a file of items, shows how they go on, and saves what was made.

The idempotency key is made of the file's content, so the same command finds the same batch again.
"""

import itertools
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fluxrelay.cli.batch_files import BatchFile, read_batch
from fluxrelay.cli.commands.results import save_batch
from fluxrelay.cli.commands.submit import (
    Callback,
    Deadline,
    Events,
    Metadata,
    Model,
    Params,
    callback_with,
    repeatable,
)
from fluxrelay.cli.exits import Exit, wrong
from fluxrelay.cli.session import Session, command
from fluxrelay.cli.values import named_values, seconds_value
from fluxrelay.cli.views.batches import batch_facts, batch_line
from fluxrelay.cli.views.progress import batch_progress
from fluxrelay.cli.waiting import await_end
from fluxrelay.errors import InvalidItemsError, complaint
from fluxrelay.types.batches import Batch

_MOST_SHOWN = 10

ItemsFile = Annotated[
    str, typer.Argument(metavar="FILE", help="NDJSON, or CSV by its name; - reads standard input.")
]
JobCallback = Annotated[
    str | None, typer.Option(metavar="URL", help="URL of a callback at the end of each job.")
]
Save = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Save the files, named by custom_id.")
]


def batch(
    session: Session,
    file: ItemsFile,
    *,
    model: Model = None,
    param: Params = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Run the valid items alone.")
    ] = False,
    callback: Callback = None,
    job_callback: JobCallback = None,
    event: Events = None,
    metadata: Metadata = None,
    deadline: Deadline = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for its end.")] = True,
    save: Save = None,
    new: Annotated[bool, typer.Option("--new", help="Run it again as a new batch.")] = False,
    idempotency_key: Annotated[str | None, typer.Option(help="Instead of the file's.")] = None,
) -> Exit | None:
    """Send a file of items as one batch, and follow it to its end."""
    if new and idempotency_key:
        raise wrong("Give --new or --idempotency-key, and not both.")
    if save and not wait:
        raise wrong("--save needs the end of the batch; leave --no-wait out.")
    content = _read(session, file, model, param or (), skip=skip_bad)
    content.choose(
        on_error="skip" if skip_bad else None,
        callback=callback_with(None, callback, "--callback"),
        metadata=named_values(metadata),
        deadline=seconds_value(deadline, "--deadline"),
    )
    content.default(callback=callback_with(event, job_callback, "--job-callback"))
    key = f"batch-{secrets.token_hex(20)}" if new else idempotency_key or content.key()
    created = _create(session, content, key)
    left_out = _left_out(session, content, created)
    if wait:
        return followed(session, created, save, left_out)
    session.out.say(created.id)
    if session.out.as_json:
        session.out.document({**created.raw, "rejected": left_out})
    return None


def _read(
    session: Session, file: str, model: str | None, params: Sequence[str], *, skip: bool
) -> BatchFile:
    models = [one.raw for one in session.client.models.list()]
    name = model or (session.settings.model.value if session.settings.model else None)
    return read_batch(file, models, name, params, skip=skip)


def _create(session: Session, content: BatchFile, key: str) -> Batch:
    options = dict(content.options)
    try:
        with repeatable(session, "batch", key):
            created = session.client.batches.create(
                content.items,
                defaults=options.pop("defaults", None),
                extra=options,
                idempotency_key=key,
            )
    except InvalidItemsError as error:
        entries = map(content.of_the_file, error.errors)
        raise wrong(error.detail, *map(complaint, entries)) from None
    session.out.note(f"Batch {created.id}, key {key}")
    return created


def _left_out(session: Session, content: BatchFile, created: Batch) -> list[dict[str, Any]]:
    """Show what was wrong with the items that were left out, and return it."""
    left_out = [*content.left_out, *map(content.of_the_file, created.rejected)]
    for entry in left_out[:_MOST_SHOWN]:
        session.out.note(f"  left out: {complaint(entry)}")
    if len(left_out) > _MOST_SHOWN:
        session.out.note(f"  and {len(left_out) - _MOST_SHOWN:,} more")
    return left_out


def followed(
    session: Session,
    created: Batch,
    save: Path | None = None,
    left_out: Sequence[Mapping[str, Any]] = (),
) -> Exit | None:
    """Follow a batch to its end, show it, save its files, and return the exit code.

    Args:
        session: The run of the command.
        created: The batch.
        save: The folder of its files; None: they are not saved.
        left_out: What was wrong with items that are not in it.
    """
    batches, out = session.client.batches, session.out

    def look(seconds: int) -> Mapping[str, Any]:
        return batches.get(created, wait=seconds).raw

    try:
        with batch_progress(out.errors, live=out.live) as show:
            show(created.raw)
            ended = await_end(look, show)
        saved = save_batch(session, created, save) if save else []
    except KeyboardInterrupt:
        out.note("The batch goes on. The same command finds it again;")
        out.note(f"to end it: fluxrelay cancel --batch {created.id}")
        raise
    if out.as_json:
        more: dict[str, Any] = {"saved": [str(path) for path in saved]} if save else {}
        out.document({**ended, **more, **({"rejected": left_out} if left_out else {})})
    out.say(batch_line(ended))
    out.facts(batch_facts(ended))
    if saved:
        out.say(f"{len(saved):,} files are in {save}")
    failed, canceled = ended["counts"]["failed"], ended["counts"]["canceled"]
    if failed:
        _show_failures(session, created, failed, ended["retried_as"])
    if left_out:
        items = {entry.get("line") for entry in left_out}  # one may have several complaints
        out.note(f"Left out: {len(items):,}, as told above.")
    if canceled:
        out.note(f"Canceled: {canceled:,}. To run these, send them in a new batch.")
    return Exit.FAILED if failed or canceled else None


def _show_failures(session: Session, created: Batch, count: int, retried_as: str | None) -> None:
    failed = session.client.batches.iterate_jobs(created, status="failed")
    rows = []
    for job in itertools.islice(failed, _MOST_SHOWN):
        error, item = job.raw["error"] or {}, job.raw["batch"] or {}
        row = str(item.get("custom_id")), job.id, str(error.get("code", job.status))
        rows.append((*row, str(error.get("message", ""))))
    session.out.rows(("custom_id", "job", "code", "message"), rows, title="custom_id")
    if count > len(rows):
        session.out.note(f"All {count:,}: fluxrelay list --status failed --of-batch {created.id}")
    if retried_as:
        session.out.note(f"What failed was run again: fluxrelay watch --batch {retried_as}")
        return
    them = "it" if count == 1 else f"the {count:,} that failed"
    session.out.note(f"To run {them} again: fluxrelay retry --batch {created.id}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "batch")(batch)
