"""`python -m stack up`: the same stack in the foreground, until Ctrl-C."""

import fcntl
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from stack.commands.interruption import ignore_signals
from stack.commands.kept import Kept, UnreadableSecretsError, keep, read_kept
from stack.commands.passed_on import unknown_settings
from stack.display.view import StartDisplay, print_failure, print_heading, print_lines
from stack.options import RealProvider, StackOptions
from stack.servers.ports import is_free
from stack.servers.process import ProcessFailedError
from stack.servers.seaweed import REGION
from stack.servers.watch import Watch
from stack.stack import Stack

DEFAULT_PROVIDER_URL = "https://api.bfl.ai"

_LOOK_SECONDS = 0.2


class AlreadyRunningError(Exception):
    """Another stack uses the same directory."""


def choose_provider(environment: Mapping[str, str]) -> tuple[RealProvider | None, str | None]:
    """Return the real provider if the environment names it completely, and a message for the user.

    Args:
        environment: The caller's environment.
    """
    needed = ("BFL_API_KEY", "FLUXRELAY_PUBLIC_URL")
    missing = [name for name in needed if not environment.get(name)]
    if len(missing) == len(needed):
        return None, None
    if missing:
        return None, f"{missing[0]} is not set: using the sandbox, not the real provider."
    url = environment.get("FLUXRELAY_PROVIDER_URL") or DEFAULT_PROVIDER_URL
    provider = RealProvider(
        url=url,
        public_url=environment["FLUXRELAY_PUBLIC_URL"],
        api_key=environment["BFL_API_KEY"],
    )
    return provider, f"Using the real provider at {url}: jobs cost credits."


def run_up(console: Console, options: StackOptions, directory: Path, *, fresh: bool) -> int:
    """Run the stack until it is interrupted.

    Args:
        console: Where to print addresses and events.
        options: Options of the stack.
        directory: Folder for data and logs, which stays after the end.
        fresh: Whether to delete the data of earlier runs first.

    Returns:
        The exit code; an interruption is raised after everything is stopped.
    """
    if options.port is not None and not is_free(options.port):
        print_failure(
            console,
            f"Port {options.port} is taken: choose another by --port or FLUXRELAY_PORT.",
            {},
        )
        return 1
    print_heading(console, "FluxRelay: starting everything on this machine")
    try:
        with _claimed(directory):
            _clear(directory, fresh=fresh)
            _run(console, options, directory)
    except (ProcessFailedError, AlreadyRunningError, UnreadableSecretsError) as error:
        print_failure(console, str(error), {})
        return 1


def _run(console: Console, options: StackOptions, directory: Path) -> NoReturn:
    kept = read_kept(directory)
    # Before the first job is accepted, whose links are signed with them.
    keep(directory, kept)
    display = StartDisplay(console)
    options = replace(options, directory=directory, credentials=kept.credentials, ports=kept.ports)
    stack = Stack(options, observer=display.observe)
    try:
        with display:
            stack.start()
        keep(directory, Kept(kept.credentials, stack.ports))
        console.print(f"Ready in {display.seconds:.1f} s.", highlight=False)
        print_lines(console, unknown_settings(stack.processes["service"].output()))
        _print_addresses(console, stack)
        _print_requests(console, stack)
        console.print("\nRunning. [bold]Ctrl-C[/] stops everything.")
        _watch_for_ever(console, stack)
    finally:
        ignore_signals()
        with suppress(OSError):  # the terminal may be closed
            console.print("\nStopping everything.")
        stack.close()


@contextmanager
def _claimed(directory: Path) -> Iterator[None]:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AlreadyRunningError(f"Another stack runs in {directory}.") from error
        yield


def _clear(directory: Path, *, fresh: bool) -> None:
    # Logs cover the latest run only; files and jobs stay unless `fresh`.
    for name in ("logs", "seaweedfs", "valkey") if fresh else ("logs",):
        shutil.rmtree(directory / name, ignore_errors=True)


def _watch_for_ever(console: Console, stack: Stack) -> NoReturn:
    def say(line: str) -> None:
        print_lines(console, [f"{time.strftime('%H:%M:%S')}  {line}"])

    watch = Watch(stack.processes.values(), say)
    while True:
        watch.look()
        time.sleep(_LOOK_SECONDS)


def _print_addresses(console: Console, stack: Stack) -> None:
    print_heading(console, "For the client, the command line and the examples of the pages")
    print_lines(
        console, [f"export FLUXRELAY_URL={stack.service_url} FLUXRELAY_KEY={stack.api_key}"]
    )
    print_heading(console, "Addresses")
    sandbox = [f"sandbox   {stack.sandbox_url}/sandbox/ledger"] if stack.sandbox_url else []
    print_lines(
        console,
        [
            f"service   {stack.service_url}",
            *sandbox,
            f"Redis     {stack.valkey.url}",
            f"bucket    s3://{stack.bucket} at {stack.seaweed.endpoint}",
            f"logs      {stack.directory / 'logs'}",
            f"data      {stack.directory}: jobs, files and keys, for the next start",
            f"API key   {stack.api_key}",
        ],
    )
    print_heading(console, "The bucket's credentials, for any S3 client")
    print_lines(
        console,
        [
            f"export AWS_ENDPOINT_URL_S3={stack.seaweed.endpoint} AWS_REGION={REGION}",
            f"export AWS_ACCESS_KEY_ID={stack.seaweed.access_key}",
            f"export AWS_SECRET_ACCESS_KEY={stack.seaweed.secret_key}",
        ],
    )


def _print_requests(console: Console, stack: Stack) -> None:
    print_heading(console, "Post a job")
    print_lines(
        console,
        [
            f"curl -s {stack.service_url}/v1/jobs \\",
            f"  -H 'Authorization: Bearer {stack.api_key}' \\",
            "  -H 'Content-Type: application/json' \\",
            """  -d '{"model": "flux-pro-1.1", "input": {"prompt": "A red fox in fresh snow"}}'""",
        ],
    )
    print_heading(console, "Read it (put its id in the place of JOB_ID)")
    print_lines(
        console,
        [
            f"curl -s {stack.service_url}/v1/jobs/JOB_ID \\",
            f"  -H 'Authorization: Bearer {stack.api_key}'",
        ],
    )
    if stack.sandbox_url:
        print_heading(console, "See one fail")
        print_lines(
            console,
            [
                "A prompt with the word fail-generation fails, and one with moderate-content is",
                "moderated: 'A red fox fail-generation'. For more, see sandbox/README.md.",
            ],
        )
