"""Starts our own programs by a fork server, which has imported them once for the whole session.

A process is what `python -m service` would be, but for the second of CPU that its imports take; the
tests start hundreds. Whatever is no program of ours, and whatever wants an interpreter of its own,
is started as `stack` starts it.
"""

import io
import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from stack.servers import children
from stack.servers.die_with_parent import die_with_parent
from stack.servers.fluxrelay import SOURCE_ROOT

_PROGRAMS: Final = ("sandbox", "service", "worker")
#: Variables that an interpreter reads before any program runs.
_OF_THE_INTERPRETER: Final = ("PYTHON", "LC_")
#: They change nothing but whether bytecode is written, and what `_take_over` does anyway.
_HARMLESS: Final = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"})

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([f"{program}.__main__" for program in _PROGRAMS])


class ForkedChild:
    """A process that the fork server started; like `subprocess.Popen`."""

    def __init__(self, process: BaseProcess, argv: tuple[str, ...]) -> None:
        self._process = process
        self._argv = argv
        # The exit code comes through a pipe once, and any thread may ask for it.
        self._reading = threading.Lock()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        with self._reading:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has exited, and return the exit code.

        Raises:
            subprocess.TimeoutExpired: It runs after `timeout` seconds.
        """
        connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self._argv, timeout or 0)
        return code

    def kill(self) -> None:
        """Send SIGKILL if it runs."""
        if self.poll() is None:
            self._process.kill()

    def terminate(self) -> None:
        """Send SIGTERM if it runs."""
        if self.poll() is None:
            self._process.terminate()


def start(program: children.Program) -> children.Child:
    """Start one of our programs by the fork server, and all else by Popen."""
    if not _is_ours(program):
        return children.popen(program)
    for file in (program.output, program.errors):
        file.touch()
    process = _context.Process(target=_run, args=(program,), daemon=True)
    process.start()
    return ForkedChild(process, program.argv)


def run(
    arguments: Sequence[str], environment: Mapping[str, str], directory: Path = SOURCE_ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `python -m` with these arguments to its end, for a minute at most.

    Raises:
        subprocess.TimeoutExpired: It had not ended by then, and was killed.
    """
    argv = (sys.executable, "-m", *arguments)
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        child = start(children.Program(argv, environment, directory, output, errors))
        try:
            code = child.wait(60)
        finally:
            child.kill()
        return subprocess.CompletedProcess(argv, code, output.read_text(), errors.read_text())


class Talk:
    """A program that is given orders, a line each, and answers with lines.

    Args:
        process: Its process.
        channel: Our end of what is its standard input and output.
    """

    def __init__(self, process: BaseProcess, channel: socket.socket) -> None:
        self._process = process
        self._channel = channel
        self._received = b""

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def tell(self, line: str) -> None:
        """Send it a line."""
        self._channel.sendall(f"{line}\n".encode())

    def answer(self, seconds: float) -> str:
        """Return the next line that it says, without its end; empty once it has ended.

        Raises:
            TimeoutError: It says nothing for so many seconds.
        """
        self._channel.settimeout(seconds)
        more = b"?"
        while more and b"\n" not in self._received:
            more = self._channel.recv(65536)
            self._received += more
        line, _, self._received = self._received.partition(b"\n")
        return line.decode()

    def end(self) -> None:
        """End its input, and wait until it has exited."""
        self._channel.shutdown(socket.SHUT_WR)
        self._process.join(60)
        assert not self._process.is_alive()
        self._channel.close()


def talk(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Talk:
    """Start a module that reads orders from its standard input."""
    ours, theirs = socket.socketpair()
    program = (module, tuple(arguments), dict(environment))
    process = _context.Process(target=_converse, args=(*program, theirs), daemon=True)
    process.start()
    theirs.close()
    return Talk(process, ours)


def _is_ours(program: children.Program) -> bool:
    python, option, *rest = program.argv
    return (
        (python, option) == (sys.executable, "-m")
        and rest[0] in _PROGRAMS
        and _interpreter_variables(program.environment) == _interpreter_variables(os.environ)
    )


def _interpreter_variables(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_OF_THE_INTERPRETER) and name not in _HARMLESS
    }


def _run(program: children.Program) -> None:
    """In the forked process: become the program."""
    _leave_fork_server()
    _take_over(program.directory, program.environment)
    for number, file in ((1, program.output), (2, program.errors)):
        opened = os.open(file, os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout, sys.stderr = _writer(1, "strict"), _writer(2, "backslashreplace")
    name, *arguments = program.argv[2:]
    for module in _PROGRAMS:
        sys.modules.pop(f"{module}.__main__", None)
    _become(name, arguments, program.directory)


def _converse(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], channel: socket.socket
) -> None:
    """In the forked process: become a module whose input and output is a socket."""
    _leave_fork_server()
    _take_over(SOURCE_ROOT, environment)
    for number in (0, 1):
        os.dup2(channel.fileno(), number)
    channel.close()
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")
    sys.stdout = _writer(1, "strict")
    _become(module, arguments, SOURCE_ROOT)


def _leave_fork_server() -> None:
    die_with_parent(os.getppid())
    # Held open, it would keep the fork server alive when the tests are gone.
    for inherited in (
        forkserver._forkserver._forkserver_alive_fd,  # type: ignore[attr-defined]  # noqa: SLF001
        resource_tracker._resource_tracker._fd,  # type: ignore[attr-defined]  # noqa: SLF001
    ):
        os.close(inherited)
    os.setsid()


def _take_over(directory: Path, environment: Mapping[str, str]) -> None:
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def _become(name: str, arguments: Sequence[str], directory: Path) -> None:
    sys.argv = [name, *arguments]
    sys.path.insert(0, str(directory))
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _writer(number: int, errors: str) -> io.TextIOWrapper:
    raw = io.FileIO(number, "w", closefd=False)
    return io.TextIOWrapper(raw, "utf-8", errors, write_through=True)
