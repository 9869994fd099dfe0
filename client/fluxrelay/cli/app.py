"""The commands together, and how each run ends."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from fluxrelay.cli.commands import (
    batch,
    callbacks,
    dead_letters,
    doctor,
    jobs,
    listen,
    models,
    results,
    submit,
    verify,
    watch,
)
from fluxrelay.cli.exits import CommandFailed, Exit, wrong
from fluxrelay.cli.output import (
    is_terminal,
    print_anywhere,
    print_error,
    print_error_document,
    printable,
)
from fluxrelay.errors import (
    AuthenticationError,
    ConfigurationError,
    ConflictError,
    FluxRelayError,
    InvalidArgumentError,
    JobFailedError,
    NotFoundError,
    ProblemError,
    TooManyRequestsError,
    UnexpectedAnswerError,
    UnreachableError,
    WaitTimeoutError,
    complaint,
)
from fluxrelay.protocol.version import VERSION

_HELP: Final = (
    "Images and videos of FluxRelay, from the command line.\n\n"
    "Needs FLUXRELAY_URL and FLUXRELAY_KEY, or a profile in ~/.config/fluxrelay/config.toml.\n\n"
    "Exits with 0 if all went well, 1 if a job failed, 2 if arguments, settings or fields are "
    "wrong, 3 if the service does not answer, 4 if the key is refused, 5 if the time to wait is "
    "over, 6 if there is no such job, 7 if what was asked for is impossible now, 130 after Ctrl-C, "
    "and 141 if nobody reads what it prints."
)
_SERVERS_FAULT: Final = 500
_NOT_OURS: Final = "What answers is not FluxRelay; check the address."
_NO_JOB: Final = "no-such-job"
# Errors are shown without a traceback of typer's: it could show a key.
app: Final = typer.Typer(help=_HELP, pretty_exceptions_enable=False, no_args_is_help=True)
for _part in (submit, batch, jobs, watch, results, models, listen, verify, doctor):
    _part.register(app)
for _group in (callbacks, dead_letters):
    _group.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    print_anywhere()
    app.rich_markup_mode = "rich" if is_terminal() else None  # of help and usage errors
    try:
        app(list(arguments), prog_name="fluxrelay")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(Exit.DONE)
    except CommandFailed as failed:
        return _told(failed, as_json="--json" in arguments)
    except FluxRelayError as error:
        return _told(explained(error), as_json="--json" in arguments)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return Exit.DONE


def _told(failed: CommandFailed, *, as_json: bool) -> int:
    """Print why a command failed, and return its exit code."""
    if as_json:
        print_error_document(failed.code, failed.message, failed.details)
    else:
        print_error(failed.message, *failed.details)
    return failed.code


def explained(error: FluxRelayError) -> CommandFailed:
    """Return what an error of the client means to the one who runs a command."""
    if isinstance(error, ProblemError):
        return _problem(error)
    if isinstance(error, (ConfigurationError, InvalidArgumentError)):
        what = "The settings are" if isinstance(error, ConfigurationError) else "An argument is"
        return wrong(f"{what} wrong: {error}.")
    if isinstance(error, WaitTimeoutError):
        return CommandFailed(Exit.TIMED_OUT, f"{error}.")
    if isinstance(error, UnreachableError):
        text = f"The service cannot be reached: {error}. See: fluxrelay doctor"
        return CommandFailed(Exit.UNREACHABLE, text)
    if isinstance(error, UnexpectedAnswerError):
        return CommandFailed(Exit.UNREACHABLE, f"{_NOT_OURS} {printable(error)}")
    code = Exit.FAILED if isinstance(error, JobFailedError) else Exit.UNREACHABLE
    return CommandFailed(code, f"{error}.")


def _problem(error: ProblemError) -> CommandFailed:
    if isinstance(error, AuthenticationError):
        text = f"The key is refused ({error.detail}). Check FLUXRELAY_KEY or the settings file."
        return CommandFailed(Exit.NOT_AUTHORIZED, text)
    if isinstance(error, NotFoundError) and not error.type:
        return CommandFailed(Exit.UNREACHABLE, _NOT_OURS)
    if isinstance(error, NotFoundError):
        hint = " For the id of a batch, add --batch." if error.type == _NO_JOB else ""
        return CommandFailed(Exit.NOT_FOUND, error.detail + hint)
    if isinstance(error, (ConflictError, TooManyRequestsError)):
        return CommandFailed(Exit.REFUSED, error.detail)
    if error.status >= _SERVERS_FAULT:
        text = f"The service cannot do this at the moment: {error.detail}"
        return CommandFailed(Exit.UNREACHABLE, text)
    return wrong(error.detail, *map(complaint, error.errors))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fluxrelay {VERSION}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    _ = version
