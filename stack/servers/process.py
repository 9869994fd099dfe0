"""One child process: start, readiness, stop, kill, restart.

Every child dies with the launcher, however that ends (see `die_with_parent.py`).
"""

import contextlib
import functools
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from stack.servers import children

_POLL_SECONDS = 0.05
_TAIL_LINES = 20
#: Bytes of a log's end that hold its last lines.
_TAIL_BYTES = 16_384


class ProcessFailedError(Exception):
    """A process exited before it was ready, or was not ready in time; holds its last log lines."""

    def __init__(self, name: str, reason: str, tail: str) -> None:
        super().__init__(f"{name} {reason}. Its last log lines:\n{tail or '(it wrote nothing)'}")
        self.name = name
        self.tail = tail

    @property
    def port_was_taken(self) -> bool:
        """Whether it failed because another process listens on its port."""
        return "address already in use" in self.tail.lower()


@functools.cache
def _spawner() -> ThreadPoolExecutor:
    # The kernel sends the death signal when the *thread* that started the child ends. This thread
    # lives as long as the launcher, so that any short-lived thread may start a process.
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawn")


class ManagedProcess:
    """A child process with a name, a log file and a readiness probe.

    Args:
        name: Its name in logs and errors.
        argv: The program and its arguments.
        environment: The complete environment of the child.
        log: File to append its output to.
        directory: Its working directory.
        probe: Returns whether it is ready; called often, so it must be quick.
        grace_seconds: Seconds between SIGTERM and SIGKILL.
        ready_seconds: Maximum seconds until it is ready.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        directory: Path,
        probe: Callable[["ManagedProcess"], bool],
        grace_seconds: float = 10.0,
        ready_seconds: float = 30.0,
    ) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.environment = dict(environment)
        self.log = log
        self.grace_seconds = grace_seconds
        self.ready_seconds = ready_seconds
        self._directory = directory
        self._probe = probe
        self._child: children.Child | None = None
        self._offspring: list[psutil.Process] = []
        self._log_start = 0
        self._kill_at = 0.0

    @property
    def pid(self) -> int:
        """The process id of the latest start.

        Raises:
            RuntimeError: It was never started.
        """
        if self._child is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs or was never started."""
        return None if self._child is None else self._child.poll()

    def start(self) -> None:
        """Start the process without waiting for it.

        Raises:
            RuntimeError: It runs already.
        """
        if self.is_alive:
            raise RuntimeError(f"{self.name} runs already")
        _spawner().submit(self._spawn).result()

    def wait_ready(self, timeout_seconds: float | None = None) -> None:
        """Wait until the probe says ready.

        Raises:
            ProcessFailedError: It exited, or was not ready in time (default: `ready_seconds`).
        """
        limit = self.ready_seconds if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + limit
        while not self.check_ready():
            if time.monotonic() > deadline:
                raise ProcessFailedError(
                    self.name, f"was not ready within {limit:g} s", self.log_tail()
                )
            time.sleep(_POLL_SECONDS)

    def check_ready(self) -> bool:
        """Run the probe once.

        Raises:
            ProcessFailedError: The process has exited.
        """
        if not self.is_alive:
            reason = f"ended with exit code {self.exit_code} before it was ready"
            raise ProcessFailedError(self.name, reason, self.log_tail())
        return self._probe(self)

    def stop(self) -> None:
        """Send SIGTERM, then SIGKILL after the grace period; return when it has exited."""
        stop_all([self])

    def kill(self) -> None:
        """Send SIGKILL, as the kernel does when memory runs out; its children live on."""
        self._remember_offspring()
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def restart(self) -> None:
        """Stop it if it runs, start it again with the same log, and wait until it is ready.

        Raises:
            ProcessFailedError: It did not get ready.
        """
        self.stop()
        self.start()
        self.wait_ready()

    def output(self) -> str:
        """Return its output since its latest start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def log_tail(self, lines: int = _TAIL_LINES) -> str:
        """Return its last lines of output since its latest start."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - _TAIL_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def request_stop(self) -> None:
        """Send SIGTERM and return at once; `finish_stop` does the rest."""
        _spawner().submit(int).result()  # an interrupted start() may still hold it
        self._kill_at = time.monotonic() + self.grace_seconds
        self._remember_offspring()
        if self._child is not None and self.is_alive:
            self._child.terminate()

    def finish_stop(self) -> None:
        """Wait for the exit after `request_stop`; send SIGKILL after the grace period."""
        if self._child is not None:
            try:
                self._child.wait(max(0.0, self._kill_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._remember_offspring()
                self._child.kill()
                self._child.wait()
        for process in self._offspring:
            # psutil also compares the start time, so a reused process id is not signalled.
            if process.is_running():
                process.kill()
        self._offspring.clear()

    def _spawn(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._log_start = log.tell()
        self._child = children.start(
            children.Program(
                self.argv, self.environment, self._directory, output=self.log, errors=self.log
            )
        )

    def _remember_offspring(self) -> None:
        # Taken while the parent lives: afterwards, nothing tells whose children they were.
        if self.is_alive:
            known = set(self._offspring)
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                found = psutil.Process(self.pid).children(recursive=True)
                self._offspring.extend(child for child in found if child not in known)


def wait_all_ready(
    processes: Iterable[ManagedProcess],
    on_ready: Callable[[ManagedProcess], None] = lambda _process: None,
) -> None:
    """Wait until all are ready, reporting each as it gets ready.

    Raises:
        ProcessFailedError: One exited, or was not ready within its own `ready_seconds`.
    """
    began = time.monotonic()
    waiting = list(processes)
    while waiting:
        for process in list(waiting):
            if process.check_ready():
                waiting.remove(process)
                on_ready(process)
            elif time.monotonic() - began > process.ready_seconds:
                reason = f"was not ready within {process.ready_seconds:g} s"
                raise ProcessFailedError(process.name, reason, process.log_tail())
        if waiting:
            time.sleep(_POLL_SECONDS)


def stop_all(processes: Iterable[ManagedProcess]) -> None:
    """Stop all concurrently; return when they have exited."""
    stopping = list(processes)
    for process in stopping:
        process.request_stop()
    for process in stopping:
        process.finish_stop()
