"""A stack with room for many unfinished jobs, and workers that die on order."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from stack.options import StackOptions
from stack.servers.process import ManagedProcess
from stack.stack import Stack
from tests import forked_programs
from tests.crash.crash_point import NOWHERE
from tests.e2e.conftest import Customer, customer  # noqa: F401 - a fixture, used by its name
from tests.quick_videos import SMALL
from tests.timing import FAST

#: More slots than jobs: those that a kill leaves behind must not keep the next one waiting.
_SLOTS = "2000"
#: Seconds in which a process that was given an order does what it is to die of.
_PATIENCE = 240


def crash_stack(*, webhooks: bool, **variables: str) -> Stack:
    """Return a stack, not started, in which killed jobs may pile up.

    Args:
        webhooks: Whether the provider sends some.
        variables: Added to the service's and the workers' environment.
    """
    return Stack(
        StackOptions(
            webhooks=webhooks,
            relay_variables={**FAST, "FLUXRELAY_SLOTS": _SLOTS, **variables},
            sandbox_variables={
                "SANDBOX_SLOTS": _SLOTS,
                "SANDBOX_GENERATION_SECONDS": "0.05",
                "SANDBOX_IMAGE_SIDE": "64",
                **SMALL,
            },
        )
    )


@dataclass(frozen=True)
class Outcome:
    """What came of an order."""

    #: Where it died; None: nowhere.
    killed_at: str | None
    #: If it lives: the distinct lines that it passed, those together that die the same death.
    lines: list[list[str]]


@dataclass(frozen=True)
class CrashingProcess:
    """A process whose workers die at the place that is ordered."""

    talk: forked_programs.Talk

    def order(self, place: str = NOWHERE) -> None:
        """Have it die at this place from now on."""
        self.talk.tell(place)
        assert self.talk.answer(_PATIENCE) == "ordered"

    def outcome(self) -> Outcome:
        """Wait until it has died, or has done what it was given; return which."""
        answer = json.loads(self.talk.answer(_PATIENCE))
        assert "error" not in answer, "the child ended in an error"
        return Outcome(answer.get("killed_at"), answer.get("lines", []))

    def run(self, place: str = NOWHERE) -> Outcome:
        """Have it do what waits, and die at this place."""
        self.order(place)
        return self.outcome()

    def end(self) -> None:
        """End it, and the child that it may have."""
        self.talk.end()


@pytest.fixture(scope="package")
def loaded() -> Iterator[Stack]:
    """Run a stack whose provider sends webhooks; all modules that break nothing else share it."""
    with crash_stack(webhooks=True) as stack:
        yield stack


@pytest.fixture(autouse=True)
def _whole(request: pytest.FixtureRequest) -> Iterator[None]:
    """Start what a failed test left dead, so that the next one fails for reasons of its own."""
    processes: list[ManagedProcess] = []
    if "loaded" in request.fixturenames:
        processes += request.getfixturevalue("loaded").processes.values()
    yield
    dead = [process for process in processes if not process.is_alive]
    for process in dead:
        process.start()
        process.wait_ready()


class CrashingProcesses:
    """Starts processes of a stack that die on order, and ends them."""

    def __init__(self) -> None:
        self._started: list[CrashingProcess] = []

    def __call__(self, stack: Stack, queue: str, step: str, *how: str) -> CrashingProcess:
        """Start a worker of a queue, which dies in `step` only.

        Args:
            stack: Whose.
            queue: Which.
            step: Where it dies.
            how: Further arguments of the program.
        """
        environment = stack.processes[f"worker.{queue}"].environment
        return self._start("crashing_worker", environment, queue, step, *how)

    def service(self, stack: Stack, path: str, *files: str) -> CrashingProcess:
        """Start a service in the place of the stack's own, which dies of a POST below `path`.

        Args:
            stack: Whose.
            path: Where.
            files: Whose lines count.
        """
        environment = stack.processes["service"].environment
        return self._start("crashing_service", environment, path, *files)

    def sweep(self, environment: Mapping[str, str], signal: str = "KILL") -> CrashingProcess:
        """Start a process that does single rounds of sweeping, and dies of `signal` (or STOPs)."""
        return self._start("crashing_sweep", environment, signal)

    def _start(
        self, module: str, environment: Mapping[str, str], *arguments: str
    ) -> CrashingProcess:
        talk = forked_programs.talk(f"tests.crash.{module}", arguments, environment)
        self._started.append(CrashingProcess(talk))
        assert talk.answer(_PATIENCE) == "ready"
        return self._started[-1]

    def close(self) -> None:
        """End them all."""
        for crashing in self._started:
            if crashing.talk.is_alive:
                crashing.end()


@pytest.fixture
def crashing() -> Iterator[CrashingProcesses]:
    """Return a factory of crashing processes."""
    factory = CrashingProcesses()
    yield factory
    factory.close()
