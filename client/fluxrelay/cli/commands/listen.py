"""`fluxrelay listen`: receives callbacks on this machine, verifies and shows them."""

import json
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.text import Text

from fluxrelay.cli.callback_server import CallbackServer, Received
from fluxrelay.cli.exits import wrong
from fluxrelay.cli.output import STATUS_STYLES, printable
from fluxrelay.cli.session import Session, command

_USUAL_PORT = 4242


def listen(
    session: Session,
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any.")] = _USUAL_PORT,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    forward: Annotated[
        str | None, typer.Option(metavar="URL", help="Send each verified callback on to it.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
) -> None:
    """Receive callbacks, verify and show them, until Ctrl-C."""
    if forward and not forward.startswith(("http://", "https://")):
        raise wrong("--forward takes an http(s) URL, such as http://127.0.0.1:3000/callbacks")
    secrets = session.secrets()
    shown = 0
    show = shower(session)

    def tell(callback: Received) -> None:
        nonlocal shown
        if count is None or shown < count:
            show(callback)
            shown += 1

    try:
        server = CallbackServer((host, port), secrets, tell, forward)
    except OSError as error:
        raise wrong(f"Port {port} of {host} cannot be used: {error.strerror}.") from None
    with server:
        session.out.note(f"Listening at {server.url} - give it as --callback. Ctrl-C ends.")
        server.timeout = 0.2
        # A callback whose answer is lost comes again, so the last ones are answered as well.
        while count is None or shown < count or server.busy:
            server.handle_request()


def shower(session: Session) -> Callable[[Received], None]:
    """Return what shows a callback: as a line for people, or as a line of JSON."""

    def show(callback: Received) -> None:
        if session.out.as_json:
            session.out.line(_document(callback))
        else:
            session.out.say(line(callback))

    return show


def line(callback: Received) -> Text:
    """Return a callback's line: time, type, subject, whether it is genuine, our answer."""
    content = callback.content if isinstance(callback.content, dict) else {}
    data = content.get("data")
    subject = data.get("id", "") if isinstance(data, dict) else ""
    kind = printable(content.get("type", "not JSON" if callback.content is None else "no type"))
    style = STATUS_STYLES.get(kind.rpartition(".")[2], "cyan")
    mark = ("✗ " + callback.problem, "red") if callback.problem else ("✓ verified", "green")
    answer = f"  answered {callback.answered}"
    if callback.forward_error:
        answer += f" ({printable(callback.forward_error)})"
    at = time.strftime("%H:%M:%S", time.localtime(callback.at))
    parts = (at, "dim"), "  ", (kind.ljust(14), style), "  ", printable(subject), "  ", mark
    return Text.assemble(*parts, (answer, "dim"))


def _document(callback: Received) -> dict[str, Any]:
    return {
        "verified": callback.problem is None,
        "problem": callback.problem,
        "answered": callback.answered,
        "forward_error": callback.forward_error,
        "headers": {n: v for n, v in callback.headers.items() if n.startswith("webhook-")},
        "body": callback.content
        if callback.content is not None
        else json.dumps(callback.body.decode("utf-8", "replace")),
    }


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "listen")(listen)
