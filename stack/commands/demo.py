"""`python -m stack demo`: runs one job, checks its file and callback, and shows the result."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx
from rich.console import Console
from rich.text import Text

from stack.commands.client import TERMINAL, Job, RelayClient, StoredFile, ledger_tasks
from stack.commands.demo_jobs import DemoJob
from stack.commands.interruption import ignore_signals
from stack.commands.proof import check_callback, check_file
from stack.display.view import (
    Check,
    StartDisplay,
    print_checks,
    print_failure,
    print_heading,
    print_timeline,
)
from stack.options import StackOptions
from stack.receiver import Callback, CallbackReceiver
from stack.servers.process import ProcessFailedError
from stack.stack import Stack

_JOB_SECONDS = 60.0
_CALLBACK_SECONDS = 15.0
_POLL_SECONDS = 0.05


class DemoFailedError(Exception):
    """The demo could not be completed; the text says why."""


def run_demo(console: Console, wanted: DemoJob, output: Path) -> int:
    """Start everything, run one job, show and check its progress, stop everything.

    Args:
        console: Where to print.
        wanted: The job.
        output: Folder for the image or video.

    Returns:
        The exit code: 0 only if every check passed.
    """
    print_heading(console, "FluxRelay: starting everything on this machine")
    display = StartDisplay(console)
    options = StackOptions(relay_variables=wanted.relay_variables)
    stack = Stack(options, observer=display.observe)
    try:
        with display:
            stack.start()
        console.print(f"Ready in {display.seconds:.1f} s.", highlight=False)
        _run_job(console, stack, wanted, output)
    except ProcessFailedError as error:
        print_failure(console, str(error), {})
        return 1
    except (DemoFailedError, httpx.HTTPError) as error:
        print_failure(console, str(error), stack.log_tails())
        return 1
    finally:
        ignore_signals()
        stack.close()
    console.print("\nEverything is stopped again. To keep it running: [bold]make up[/]")
    return 0


def _run_job(console: Console, stack: Stack, wanted: DemoJob, output: Path) -> None:
    print_heading(console, f"One job: {wanted.title}")
    console.print(Text(wanted.prompt, style="italic"))
    with (
        CallbackReceiver() as receiver,
        RelayClient(stack.service_url, stack.api_key) as client,
        console.status("posting the job") as status,
    ):
        job = _finish(client, _request(wanted, receiver.url), status.update)
        file = _sample(job)
        status.update("waiting for the callback")
        callback = _await_callback(receiver, job)
        secret = client.callback_secret()
        status.stop()
        print_heading(console, "Its way, in seconds since it was accepted")
        print_timeline(console, _steps(job, callback))
        print_heading(console, "What came of it")
        path = output / f"{job.id}{Path(file.key).suffix}"
        checks = _prove(stack, wanted, file, path)
        checks.append(check_callback(callback, secret, job))
    print_checks(console, checks)
    failed = [check.label for check in checks if not check.passed]
    if failed:
        raise DemoFailedError(f"Not everything held: {', '.join(failed)}.")


def _request(wanted: DemoJob, callback_url: str) -> dict[str, object]:
    return {"model": wanted.model, "input": wanted.input, "callback": {"url": callback_url}}


def _finish(client: RelayClient, request: dict[str, object], show: Callable[[str], None]) -> Job:
    job = client.create_job(request)
    deadline = time.monotonic() + _JOB_SECONDS
    while job.status not in TERMINAL:
        if time.monotonic() > deadline:
            raise DemoFailedError(f"The job was still {job.status} after {_JOB_SECONDS:g} s.")
        time.sleep(_POLL_SECONDS)
        job = client.job(job.id)
        show(job.status)
    return job


def _sample(job: Job) -> StoredFile:
    if job.sample is None:
        raise DemoFailedError(f"The job ended as {job.status} ({job.error or 'no error given'}).")
    return job.sample


def _await_callback(receiver: CallbackReceiver, job: Job) -> Callback:
    needle = job.id.encode()
    try:
        return receiver.wait_for(
            lambda callback: needle in callback.body, timeout_seconds=_CALLBACK_SECONDS
        )[0]
    except TimeoutError as error:
        raise DemoFailedError(f"No callback came: {error}.") from error


def _steps(job: Job, callback: Callback) -> list[tuple[str, float]]:
    accepted = job.timeline[0][1].timestamp()
    steps = [(status, at.timestamp() - accepted) for status, at in job.timeline]
    return [*steps, ("callback received", callback.received_at - accepted)]


def _prove(stack: Stack, wanted: DemoJob, file: StoredFile, path: Path) -> list[Check]:
    if stack.sandbox_url is None:
        raise DemoFailedError("The demo runs with the sandbox alone.")
    tasks = ledger_tasks(stack.sandbox_url)
    return check_file(stack.s3(), file, tasks=tasks, job=wanted, path=path)
