"""`python -m stack demo`: runs one job, checks its image and callback, and shows the result."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx
from rich.console import Console
from rich.text import Text

from stack.commands.client import TERMINAL, Job, RelayClient, StoredImage, ledger_tasks
from stack.commands.interruption import ignore_signals
from stack.commands.proof import check_callback, check_picture
from stack.display.view import (
    Check,
    StartDisplay,
    print_checks,
    print_failure,
    print_heading,
    print_timeline,
)
from stack.receiver import Callback, CallbackReceiver
from stack.servers.process import ProcessFailedError
from stack.stack import Stack

MODEL = "flux-pro-1.1"
SIZE = (1024, 768)
PROMPT = "A lighthouse on a basalt cliff at dusk, its beam over a calm violet sea"

_JOB_SECONDS = 60.0
_CALLBACK_SECONDS = 15.0
_POLL_SECONDS = 0.05


class DemoFailedError(Exception):
    """The demo could not be completed; the text says why."""


def run_demo(console: Console, output: Path) -> int:
    """Start everything, run one job, show and check its progress, stop everything.

    Args:
        console: Where to print.
        output: Folder for the image.

    Returns:
        The exit code: 0 only if every check passed.
    """
    print_heading(console, "FluxRelay: starting everything on this machine")
    display = StartDisplay(console)
    stack = Stack(observer=display.observe)
    try:
        with display:
            stack.start()
        console.print(f"Ready in {display.seconds:.1f} s.", highlight=False)
        _run_job(console, stack, output)
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


def _run_job(console: Console, stack: Stack, output: Path) -> None:
    print_heading(console, f"One job: {MODEL}, {SIZE[0]} x {SIZE[1]} pixels")
    console.print(Text(PROMPT, style="italic"))
    with (
        CallbackReceiver() as receiver,
        RelayClient(stack.service_url, stack.api_key) as client,
        console.status("posting the job") as status,
    ):
        job = _finish(client, _request(receiver.url), status.update)
        image = _image(job)
        status.update("waiting for the callback")
        callback = _await_callback(receiver, job)
        secret = client.callback_secret()
        status.stop()
        print_heading(console, "Its way, in seconds since it was accepted")
        print_timeline(console, _steps(job, callback))
        print_heading(console, "What came of it")
        checks = _prove(stack, job, image, output)
        checks.append(check_callback(callback, secret, job))
    print_checks(console, checks)
    failed = [check.label for check in checks if not check.passed]
    if failed:
        raise DemoFailedError(f"Not everything held: {', '.join(failed)}.")


def _request(callback_url: str) -> dict[str, object]:
    width, height = SIZE
    return {
        "model": MODEL,
        "input": {"prompt": PROMPT, "width": width, "height": height},
        "callback": {"url": callback_url},
    }


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


def _image(job: Job) -> StoredImage:
    if job.image is None:
        raise DemoFailedError(f"The job ended as {job.status} ({job.error or 'no error given'}).")
    return job.image


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


def _prove(stack: Stack, job: Job, image: StoredImage, output: Path) -> list[Check]:
    if stack.sandbox_url is None:
        raise DemoFailedError("The demo runs with the sandbox alone.")
    suffix = Path(image.key).suffix
    return check_picture(
        stack.s3(),
        image,
        tasks=ledger_tasks(stack.sandbox_url, job.id),
        size=SIZE,
        path=output / f"{job.id}{suffix}",
    )
