"""A stack with room for many unfinished jobs, and workers that die on order."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack.options import StackOptions
from stack.stack import Stack
from tests.e2e.conftest import Customer, customer  # noqa: F401 - a fixture, used by its name
from tests.timing import FAST

ROOT = Path(__file__).resolve().parent.parent.parent
#: More slots than jobs: those that a kill leaves behind must not keep the next one waiting.
_SLOTS = "2000"


def crash_stack(*, webhooks: bool) -> Stack:
    """Return a stack, not started, in which killed jobs may pile up."""
    return Stack(
        StackOptions(
            webhooks=webhooks,
            relay_variables={**FAST, "FLUXRELAY_SLOTS": _SLOTS},
            sandbox_variables={
                "SANDBOX_SLOTS": _SLOTS,
                "SANDBOX_GENERATION_SECONDS": "0.05",
                "SANDBOX_IMAGE_SIDE": "64",
            },
        )
    )


@dataclass(frozen=True)
class Lethal:
    """A process whose workers die at the line that is ordered."""

    process: "subprocess.Popen[str]"

    def kill_at(self, k: int) -> str | None:
        """Run the waiting tasks and die at the step's k-th line; None where it has fewer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{k}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        place = answer.get("killed_at")
        assert place or answer["lines"] >= 0, "the child ended in an error"
        return str(place) if place else None


@pytest.fixture(scope="module")
def loaded() -> Iterator[Stack]:
    """Run a stack whose provider sends webhooks."""
    with crash_stack(webhooks=True) as stack:
        yield stack


class LethalFactory:
    """Starts lethal workers for a stack, and ends them."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def __call__(self, stack: Stack, queue: str, step: str) -> Lethal:
        """Start one for a queue, which dies in `step` only."""
        environment = stack.processes[f"worker.{queue}"].environment
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.lethal", queue, step],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return Lethal(process)

    def close(self) -> None:
        """End them all."""
        for process in self._started:
            process.communicate("", timeout=20)


@pytest.fixture
def lethal() -> Iterator[LethalFactory]:
    """Return a starter of lethal workers."""
    factory = LethalFactory()
    yield factory
    factory.close()
