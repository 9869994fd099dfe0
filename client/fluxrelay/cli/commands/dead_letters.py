"""`fluxrelay dead-letters`: failed jobs, and callbacks that were given up."""

import itertools
from typing import Annotated

import typer

from fluxrelay.cli.session import Session, command
from fluxrelay.cli.views.callbacks import LETTER_HEADINGS, letter_row

_PAGE = 100


def list_letters(
    session: Session,
    *,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help="job, callback or batch.")
    ] = None,
    code: Annotated[
        str | None, typer.Option(metavar="CODE", help="Of jobs that failed with this.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, at most.")] = 20,
) -> None:
    """List what needs attention, the oldest first: failed jobs, callbacks that were given up."""
    listed = session.client.dead_letters.iterate(kind=kind, code=code, limit=min(limit, _PAGE))
    found = [letter.raw for letter in itertools.islice(listed, limit)]
    session.out.listed("dead_letters", found, letter_row, headings=LETTER_HEADINGS, title="of")


def dismiss(
    session: Session,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="job, callback or batch.")],
    about: Annotated[list[str], typer.Argument(metavar="ID", help="Their ids.")],
) -> None:
    """Take dead letters off the list."""
    for one in about:
        session.client.dead_letters.dismiss(kind, one)
        session.out.say(f"{kind} {one} is off the list.")
    if session.out.as_json:
        session.out.document({"dismissed": [{"kind": kind, "id": one} for one in about]})


def register(app: typer.Typer) -> None:
    """Add the commands, as a group."""
    group = typer.Typer(help="List and dismiss what failed for good.", no_args_is_help=True)
    command(group, "list")(list_letters)
    command(group, "dismiss")(dismiss)
    app.add_typer(group, name="dead-letters")
