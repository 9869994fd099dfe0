"""`fluxrelay verify`: whether a saved callback was signed by FluxRelay."""

import time
from pathlib import Path
from typing import Annotated

import typer

from fluxrelay.cli.exits import Exit, wrong
from fluxrelay.cli.session import Session, command
from fluxrelay.cli.signatures import age, fault
from fluxrelay.cli.values import read


def verify(
    session: Session,
    body: Annotated[str, typer.Argument(metavar="BODY", help="File of the body; - reads it.")],
    *,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header.")
    ] = None,
    headers: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File of headers, one on a line.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Refuse one older than 5 min.")] = False,
) -> Exit | None:
    """Verify the signature of a callback that was saved."""
    lines = list(header or ())
    if headers:
        lines += read(str(headers)).decode("utf-8", "replace").splitlines()
    named = _named(lines)
    if not named:
        raise wrong("There are no headers: give --header 'webhook-id: ...', or --headers FILE.")
    now = time.time()
    problem = fault(read(body), named, session.secrets(), now if fresh else None)
    out = session.out
    if out.as_json:
        out.document({"verified": problem is None, "problem": problem})
    if problem:
        out.say(f"✗ not verified: {problem}")
        return Exit.FAILED
    out.say(f"✓ verified: {named['webhook-id']}, {age(int(named['webhook-timestamp']), now)}")
    return None


def _named(lines: list[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:  # others are the line of the request, or empty
            found[name.strip().lower()] = value.strip()
    return found


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "verify")(verify)
