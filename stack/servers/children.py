"""How a child process is started: by Popen, or by whatever a test session puts in its place."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_WRAPPER = Path(__file__).with_name("die_with_parent.py")


@dataclass(frozen=True)
class Program:
    """What to start.

    Attributes:
        argv: The program and its arguments.
        environment: The complete environment of the child.
        directory: Its working directory.
        output: File that its standard output is appended to.
        errors: The same for its standard error.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    output: Path
    errors: Path


class Child(Protocol):
    """A process that was started; the part of `subprocess.Popen` that is used."""

    @property
    def pid(self) -> int:
        """The process id."""

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has exited, and return the exit code.

        Raises:
            subprocess.TimeoutExpired: It runs after `timeout` seconds.
        """

    def kill(self) -> None:
        """Send SIGKILL if it runs."""

    def terminate(self) -> None:
        """Send SIGTERM if it runs."""


#: Starts a program in a session of its own, without input; the child dies with the launcher.
Starter = Callable[[Program], Child]


def popen(program: Program) -> Child:
    """Start a program through `die_with_parent.py`."""
    with program.output.open("ab") as output, program.errors.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_WRAPPER), str(os.getpid()), *program.argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=dict(program.environment),
            cwd=program.directory,
            # Ctrl-C in the terminal reaches only the launcher, which stops everything in order.
            start_new_session=True,
        )


class _Start:
    """Holds the starter in use."""

    def __init__(self) -> None:
        self.by: Starter = popen

    def __call__(self, program: Program) -> Child:
        return self.by(program)


#: Starts a program; `start.by` is how.
start = _Start()
