"""`fluxrelay callbacks`: the attempts at them, and what has them sent again or tried out."""

import itertools
from typing import Annotated

import typer

from fluxrelay.cli.commands.jobs import OfBatch
from fluxrelay.cli.exits import CommandFailed, Exit
from fluxrelay.cli.session import Session, command
from fluxrelay.cli.values import time_value
from fluxrelay.cli.views.callbacks import ATTEMPT_HEADINGS, answer_text, attempt_row

_PAGE = 100

Event = Annotated[str | None, typer.Option(metavar="EVENT", help="Of this, such as job.failed.")]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Made then or later: 24h (ago), 2026-01-31 or ISO 8601."),
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Made earlier than that.")]


def list_attempts(
    session: Session,
    *,
    job: Annotated[str | None, typer.Option(metavar="JOB", help="Of this job.")] = None,
    of_batch: OfBatch = None,
    outcome: Annotated[
        str | None, typer.Option(metavar="OUTCOME", help="delivered or failed.")
    ] = None,
    event: Event = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, at most.")] = 20,
) -> None:
    """List the attempts to deliver callbacks, the newest first."""
    listed = session.client.callbacks.iterate(
        job=job,
        batch=of_batch,
        outcome=outcome,
        type=event,
        since=time_value(since),
        until=time_value(until),
        limit=min(limit, _PAGE),
    )
    found = [attempt.raw for attempt in itertools.islice(listed, limit)]
    session.out.listed("attempts", found, attempt_row, headings=ATTEMPT_HEADINGS, title="of")


def replay(
    session: Session,
    *,
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Given up then or later: 24h (ago), 2026-01-31 or ISO 8601."
        ),
    ],
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Given up earlier than that.")
    ] = None,
) -> None:
    """Send again all callbacks that were given up."""
    at = time_value(since) or since
    count = session.client.callbacks.replay(at, until=time_value(until))
    if session.out.as_json:
        session.out.document({"replayed": count})
    session.out.say(f"{count:,} callbacks are sent again.")


def resend(
    session: Session,
    job: Annotated[list[str], typer.Argument(metavar="JOB", help="Ids.")],
    *,
    batch: Annotated[bool, typer.Option("--batch", help="The ids are batches'.")] = False,
) -> None:
    """Send the callbacks of jobs or batches again."""
    client, out = session.client, session.out
    shown = []
    for one in job:
        if batch:
            shown.append(client.batches.resend(one).raw)
        else:
            shown.append(client.callbacks.resend(one).raw)
        out.say(f"{one}: its callback is sent again")
    if out.as_json:
        out.document({"batches" if batch else "jobs": shown})


def send_sample(
    session: Session,
    receiver: Annotated[str, typer.Argument(metavar="URL", help="Where to send it.")],
    *,
    event: Annotated[
        str | None, typer.Option(metavar="EVENT", help="A sample of this, such as job.failed.")
    ] = None,
) -> Exit | None:
    """Have a signed sample sent to a URL, and show what came of it."""
    tested = session.client.callbacks.test(receiver, type=event)
    if session.out.as_json:
        session.out.document(tested.raw)
    if tested.delivered is None:
        raise CommandFailed(Exit.TIMED_OUT, "It was not sent in time; see: fluxrelay doctor")
    mark = "✓ delivered" if tested.delivered else "✗ not delivered"
    session.out.say(f"{mark}: {answer_text(tested.raw)}")
    return None if tested.delivered else Exit.FAILED


def register(app: typer.Typer) -> None:
    """Add the commands, as a group."""
    group = typer.Typer(help="List, repeat and try out callbacks.", no_args_is_help=True)
    command(group, "list")(list_attempts)
    command(group, "replay")(replay)
    command(group, "resend")(resend)
    command(group, "test")(send_sample)
    app.add_typer(group, name="callbacks")
