"""Processes are started, watched and ended, and none outlives the one that started it."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from stack.servers.environment import child_environment
from stack.servers.fluxrelay import SOURCE_ROOT
from stack.servers.process import ManagedProcess, ProcessFailedError, stop_all, wait_all_ready

SAYS_READY = "print('ready', flush=True); import time; time.sleep(600)"
IGNORES_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SAYS_READY


def _says_ready(process: ManagedProcess) -> bool:
    return "ready" in process.output().split()


def _child(code: str, log: Path, *, grace_seconds: float = 10.0) -> ManagedProcess:
    return ManagedProcess(
        "child",
        [sys.executable, "-c", code],
        environment=child_environment({"COLOUR": "blue"}),
        log=log,
        directory=log.parent,
        probe=_says_ready,
        grace_seconds=grace_seconds,
    )


def test_a_started_process_gets_ready_and_stops_on_sigterm(log: Path) -> None:
    """SIGTERM suffices for a process that does not mind it, and it is gone afterwards."""
    child = _child(SAYS_READY, log)
    child.start()
    child.wait_ready()
    pid = child.pid
    child.stop()
    assert child.exit_code == -signal.SIGTERM
    assert not child.is_alive
    assert not psutil.pid_exists(pid)


def test_stop_escalates_to_sigkill_after_the_grace(log: Path) -> None:
    """A process that ignores SIGTERM is killed."""
    child = _child(IGNORES_SIGTERM, log, grace_seconds=0.2)
    child.start()
    child.wait_ready()
    child.stop()
    assert child.exit_code == -signal.SIGKILL


def test_stop_ends_the_children_of_the_child_too(
    log: Path, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    """A grandchild in a process group of its own does not survive."""
    code = (
        "import subprocess, sys, time;"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " process_group=0);"
        "print(p.pid, 'ready'); time.sleep(600)"
    )
    child = _child(code, log)
    child.start()
    child.wait_ready()
    grandchild = psutil.Process(int(child.output().split()[0]))
    assert grandchild.is_running()
    child.stop()
    eventually(lambda: _is_gone(grandchild))


def test_a_process_that_ends_before_it_is_ready_is_reported_with_its_log(log: Path) -> None:
    """The error names the process, its exit code and its last lines, not its first ones."""
    child = _child("print('\\n'.join(f'line {n}.' for n in range(99))); raise SystemExit(3)", log)
    child.start()
    with pytest.raises(ProcessFailedError, match=r"child ended with exit code 3") as caught:
        child.wait_ready()
    assert "line 98." in str(caught.value)
    assert "line 1." not in str(caught.value)


def test_a_process_that_never_gets_ready_is_reported(log: Path) -> None:
    """Waiting has an end, and the error says how long it waited."""
    child = _child("import time; print('thinking'); time.sleep(600)", log)
    child.start()
    try:
        with pytest.raises(ProcessFailedError, match=r"not ready within 0\.3 s"):
            child.wait_ready(0.3)
    finally:
        child.stop()


def test_a_taken_port_is_recognised(log: Path) -> None:
    """The usual words of a server whose port is taken are understood."""
    child = _child("raise OSError(98, 'Address already in use')", log)
    child.start()
    with pytest.raises(ProcessFailedError) as caught:
        child.wait_ready()
    assert caught.value.port_was_taken


def test_a_restart_waits_for_the_new_process_and_keeps_the_log(log: Path) -> None:
    """Readiness is read from what the new process wrote, while the log keeps both."""
    child = _child(SAYS_READY, log)
    child.start()
    child.wait_ready()
    first = child.pid
    child.kill()
    assert child.exit_code == -signal.SIGKILL
    child.restart()
    assert child.pid != first
    assert child.output().split() == ["ready"]
    child.stop()
    assert log.read_text().split() == ["ready", "ready"]


def test_a_process_started_by_a_thread_outlives_the_thread(log: Path) -> None:
    """The death signal is bound to the launcher, not to the thread that asked for the start."""
    child = _child(SAYS_READY, log)
    thread = threading.Thread(target=child.start)
    thread.start()
    thread.join()
    try:
        child.wait_ready()
        assert child.is_alive
    finally:
        child.stop()


def test_a_child_dies_with_its_launcher_on_sigkill(
    tmp_path: Path, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    """When the launcher is killed with SIGKILL, the kernel ends what it had started."""
    code = f"""
    import pathlib, sys, time
    from stack.servers.process import ManagedProcess
    child = ManagedProcess("child", [sys.executable, "-c", {IGNORES_SIGTERM!r}], environment={{}},
        log=pathlib.Path({str(tmp_path / "log")!r}), directory=pathlib.Path("/"),
        probe=lambda process: "ready" in process.output())
    child.start()
    child.wait_ready()
    print(child.pid, flush=True)
    time.sleep(600)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=SOURCE_ROOT, stdout=subprocess.PIPE
    ) as launcher:
        assert launcher.stdout is not None
        child = psutil.Process(int(launcher.stdout.readline()))
        assert child.is_running()
        launcher.kill()
    eventually(lambda: _is_gone(child))


def test_several_are_waited_for_and_stopped_together(tmp_path: Path) -> None:
    """Each readiness is told once, and all are gone after the stop."""
    children = [_child(SAYS_READY, tmp_path / f"{n}.log") for n in range(3)]
    told: list[ManagedProcess] = []
    for child in children:
        child.start()
    wait_all_ready(children, told.append)
    assert set(told) == set(children)
    assert len(told) == 3
    stop_all(children)
    assert [child.exit_code for child in children] == [-signal.SIGTERM] * 3


def test_a_running_process_is_not_started_twice(log: Path) -> None:
    """A second start is refused, so that no process is lost track of."""
    child = _child(SAYS_READY, log)
    child.start()
    try:
        with pytest.raises(RuntimeError, match="runs already"):
            child.start()
    finally:
        child.stop()


def test_children_inherit_nothing_that_could_steer_them(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies, credentials and settings of the caller's shell stay out; what is given gets in."""
    for name in ("HTTPS_PROXY", "http_proxy", "AWS_PROFILE", "FLUXRELAY_SLOTS", "BFL_API_KEY"):
        monkeypatch.setenv(name, "from the shell")
    child = _child("import json, os; print(json.dumps(dict(os.environ)), 'ready')", log)
    child.start()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    output = child.output()
    child.stop()
    assert "from the shell" not in output
    assert '"COLOUR": "blue"' in output
    assert '"AWS_EC2_METADATA_DISABLED": "true"' in output


def _is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
