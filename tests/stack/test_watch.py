"""A process that dies is started again, later each time, and people are told."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.servers.environment import child_environment
from stack.servers.process import ManagedProcess
from stack.servers.watch import Watch

Eventually = Callable[[Callable[[], bool]], None]


class Clock:
    """A clock the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the moment it was moved to."""
        return self.now


@pytest.fixture
def child(log: Path) -> Iterator[ManagedProcess]:
    """Run a child that is ready once it has said so."""
    process = ManagedProcess(
        "child",
        [sys.executable, "-c", "print('ready', flush=True); import time; time.sleep(600)"],
        environment=child_environment({}),
        log=log,
        directory=log.parent,
        probe=lambda process: "ready" in process.output(),
    )
    process.start()
    try:
        process.wait_ready()
        yield process
    finally:
        process.stop()


def _die(child: ManagedProcess, eventually: Eventually) -> None:
    os.kill(child.pid, signal.SIGKILL)
    eventually(lambda: not child.is_alive)


def test_a_dead_process_is_started_again(child: ManagedProcess, eventually: Eventually) -> None:
    """It comes back as a new process after the wait, and both lines are said."""
    said: list[str] = []
    clock = Clock()
    watch = Watch([child], said.append, clock=clock)
    first = child.pid
    _die(child, eventually)
    watch.look()
    assert said == ["child died (exit code -9), starting it again in 0.5 s"]
    clock.now += 0.4
    watch.look()
    assert child.pid == first
    clock.now += 0.2
    watch.look()
    assert child.pid != first

    def is_back() -> bool:
        watch.look()
        return said[1:] == ["child is ready again"]

    eventually(is_back)


def test_the_wait_doubles_up_to_a_limit_and_falls_back_after_a_recovery(
    child: ManagedProcess, eventually: Eventually
) -> None:
    """A process that dies again and again is started less and less often."""
    said: list[str] = []
    clock = Clock()
    watch = Watch([child], said.append, clock=clock)
    for _ in range(8):
        _die(child, eventually)
        watch.look()
        clock.now += 30
        watch.look()
    waits = [line.split()[-2] for line in said]
    assert waits == ["0.5", "1", "2", "4", "8", "16", "30", "30"]
    clock.now += 61
    _die(child, eventually)
    watch.look()
    assert said[-1].endswith("in 0.5 s")


def test_a_living_process_is_left_alone(child: ManagedProcess) -> None:
    """Nothing is said or done about a process that runs."""
    said: list[str] = []
    watch = Watch([child], said.append)
    pid = child.pid
    watch.look()
    assert child.pid == pid
    assert said == []
