"""`fluxrelay submit`: creates a job, and on request waits for its end and saves its files."""

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fluxrelay.cli.commands.results import save_files
from fluxrelay.cli.exits import CommandFailed, Exit, wrong
from fluxrelay.cli.session import Session, command
from fluxrelay.cli.values import (
    model_named,
    named_values,
    pair,
    parameters_of,
    seconds_value,
    typed_input,
)
from fluxrelay.cli.views.jobs import View, job_facts, live_line, status_line
from fluxrelay.cli.waiting import await_end
from fluxrelay.errors import ServerError, UnavailableError, UnreachableError
from fluxrelay.types.jobs import Job

_LONGEST_LOOK = 30  # seconds

Model = Annotated[str | None, typer.Option("--model", "-m", help="The model; see: models.")]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--param", "-p", metavar="NAME=VALUE", help="A parameter; @PATH as its value sends a file."
    ),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option("--metadata", metavar="NAME=VALUE", help="Data of yours, kept with it."),
]

Callback = Annotated[str | None, typer.Option(metavar="URL", help="URL of a callback at its end.")]
Events = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        metavar="EVENT",
        help="An event to tell, such as job.generating; may be repeated.",
    ),
]
Deadline = Annotated[
    str | None, typer.Option(metavar="SECONDS", help="It fails unless it ends by then; also 10m.")
]
Save = Annotated[Path | None, typer.Option(metavar="DIR", help="Wait, and save its files there.")]
Timeout = Annotated[
    str | None, typer.Option(metavar="SECONDS", help="Time to wait at most; also 10m.")
]


def submit(
    session: Session,
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="What to make; - reads standard input.")
    ] = None,
    *,
    model: Model = None,
    param: Params = None,
    metadata: Metadata = None,
    callback: Callback = None,
    event: Events = None,
    priority: Annotated[int | None, typer.Option(help="-100 to 100; higher is sooner.")] = None,
    region: Annotated[str | None, typer.Option(help="Region of the provider.")] = None,
    output_key: Annotated[str | None, typer.Option(help="Key in the bucket.")] = None,
    deadline: Deadline = None,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key, the same job.")] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for its end.")] = False,
    timeout: Timeout = None,
    save: Save = None,
) -> Exit | None:
    """Create a job, and wait for it if asked to."""
    client = session.client  # first of all, for it needs an address and a key
    name = model or chosen_model(session)
    made = _input(session, name, prompt, param or ())
    key = idempotency_key or f"submit-{secrets.token_hex(20)}"
    with repeatable(session, "job", key):
        job = client.jobs.create(
            name,
            made,
            output={"key": output_key} if output_key else None,
            callback=callback_with(event, callback, "--callback"),
            metadata=named_values(metadata),
            priority=priority,
            region=region,
            deadline=seconds_value(deadline, "--deadline"),
            idempotency_key=key,
        )
    if not (wait or save):
        _accepted(session, job)
        return None
    return ended(session, _awaited(session, job, seconds_value(timeout, "--timeout")), save)


def _input(
    session: Session, model: str, prompt: str | None, params: Sequence[str]
) -> dict[str, Any]:
    view = model_named(model, (one.raw for one in session.client.models.list()))
    pairs = [pair(text, "--param") for text in params]
    if prompt is not None:
        if "prompt" not in parameters_of(view):
            raise wrong(f"{model} takes no prompt; give its parameters by -p.")
        pairs.insert(0, ("prompt", "@-" if prompt == "-" else _literal(prompt)))
    made = typed_input(view, pairs)
    if not made or made.get("prompt") == "":
        # Some models take jobs without a prompt, and paint what they like for the same money.
        raise wrong("There is no prompt; give one, or other parameters by -p.")
    return made


@contextlib.contextmanager
def repeatable(session: Session, what: str, key: str) -> Iterator[None]:
    """Say how to repeat a request that may have been carried out although no answer says so.

    Without its key, the same command would pay for it twice.
    """
    try:
        yield
    except (KeyboardInterrupt, UnreachableError, UnavailableError, ServerError) as error:
        if not isinstance(error, UnreachableError) or error.sent:
            session.out.note(f"The {what} may have been accepted. To find it, or else create it,")
            session.out.note(f"repeat the command with --idempotency-key {key}")
        raise


def callback_with(
    events: Sequence[str] | None, url: str | None, option: str
) -> dict[str, Any] | None:
    """Return a callback that tells these events, or the ends of a job.

    Raises:
        CommandFailed: There are events but no URL, which `option` gives.
    """
    if url is None:
        if events:
            raise wrong(f"--event chooses what a callback tells; give its URL by {option}.")
        return None
    return {"url": url, **({"events": list(events)} if events else {})}


def _accepted(session: Session, job: Job) -> None:
    if session.out.as_json:
        session.out.document(job.raw)
    else:
        session.out.say(job.id)
        if session.out.for_people:
            session.out.note(f"Accepted. Its end: fluxrelay watch {job.id}")


def ended(session: Session, job: Job, folder: Path | None = None) -> Exit | None:
    """Show a job that has ended, save its files, and return the exit code."""
    saved: list[Path] = []
    if folder and job.status == "succeeded":
        saved = save_files(session, job, folder, job.id)
    if session.out.as_json:
        more: dict[str, Any] = {"saved": [str(path) for path in saved]} if folder else {}
        session.out.document({**job.raw, **more})
    session.out.say(status_line(job.raw))
    session.out.facts([*job_facts(job.raw), *(("saved", str(path)) for path in saved)])
    return None if job.status == "succeeded" else Exit.FAILED


def chosen_model(session: Session) -> str:
    """Return the model of the settings.

    Raises:
        CommandFailed: They name none.
    """
    if known := session.settings.model:
        return known.value
    raise wrong("No model is named: give --model, or set FLUXRELAY_MODEL; see: fluxrelay models")


def _awaited(session: Session, job: Job, timeout: float | None) -> Job:
    """Return a job that has ended; show how it goes on, and how to find it again after Ctrl-C."""
    seen = job

    def look(seconds: int) -> View:
        nonlocal seen
        seen = session.client.jobs.get(job, wait=seconds)
        return seen.raw

    try:
        with _progress(session) as show:
            each = 1 if session.out.live else _LONGEST_LOOK
            await_end(look, show, each=each, seconds=timeout)
    except KeyboardInterrupt:
        session.out.note(f"The job goes on. Its end: fluxrelay watch {job.id}")
        raise
    if not seen.ended:
        text = f"The job is still {seen.status}, and goes on. Its end: fluxrelay watch {job.id}"
        raise CommandFailed(Exit.TIMED_OUT, text)
    return seen


@contextlib.contextmanager
def _progress(session: Session) -> Iterator[Callable[[View], None]]:
    if not session.out.live:
        yield lambda _view: None
        return
    with session.out.errors.status("accepted", spinner="line") as status:
        yield lambda view: status.update(live_line(view))


def _literal(prompt: str) -> str:
    return f"@{prompt}" if prompt.startswith("@") else prompt


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "submit")(submit)
