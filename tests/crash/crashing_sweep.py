"""A sweep process that kills itself, or stands still, at a chosen line of its first round.

Run as `python -m tests.crash.crashing_sweep SIGNAL` in a worker's environment; SIGNAL is KILL or
STOP. It reads a place per line of its input, says so, forks, and has the child do one round of
sweeping. The child sends itself SIGNAL when it is about to execute that line. One line of JSON is
answered: {"killed_at": "worker/runtime/sweep.py:61"}, or {"lines": [[…], …]} when the round ended
first: its distinct lines, those together that die the same death. A child that stands still goes on
at the next line of input; once it has ended, that is answered, too.
"""

import json
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, Final

from core import log
from core.settings.settings import WORKER, Settings
from tests.crash.crash_point import ROOT, CrashPoint, SocketUses
from worker.deps import Deps
from worker.runtime import wiring
from worker.runtime.sweep import sweep_forever

_FILES: Final = frozenset(
    str(ROOT / name)
    for name in (
        "worker/runtime/sweep.py",
        "core/operations/account_status.py",
        "core/redis/scripts.py",
        "core/redis/store.py",
    )
)


class OneRound(threading.Event):
    """Asks the sweep to leave as soon as it is about to wait for its next round."""

    def wait(self, _timeout: float | None = None) -> bool:
        """Do not wait; be set."""
        self.set()
        return True


def _child(deps: Deps, fatal: CrashPoint) -> None:
    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename not in _FILES:
            return None
        if event == "line":
            fatal.passes(frame.f_code.co_filename, frame.f_lineno)
        return trace

    sys.settrace(trace)
    sweep_forever(deps.store, deps.accounts, 1.0, OneRound())
    sys.settrace(None)
    fatal.tell_lines()


def main(name: str) -> None:
    """Fork one child per place that is read, until the input ends."""
    log.set_up("ERROR")
    number = signal.Signals[f"SIG{name}"]
    # One that stood still reads the clock at another time than before, so each line is its own.
    uses = SocketUses() if number is signal.SIGKILL else None
    if uses:
        uses.watch()
    deps = wiring.build(Settings.from_env(os.environ, WORKER))  # opens no connection
    _say("ready")
    while line := sys.stdin.readline():
        _say("ordered")
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(readable)
            try:
                _child(deps, CrashPoint(line.strip(), writable, number, uses))
            finally:
                os._exit(0)
        os.close(writable)
        with os.fdopen(readable) as reports:
            _say(reports.readline().strip() or json.dumps({"error": "it ended"}))
            _, status = os.waitpid(child, os.WUNTRACED)
            if os.WIFSTOPPED(status):
                sys.stdin.readline()
                _say("ordered")
                os.kill(child, signal.SIGCONT)
                _say(reports.readline().strip() or json.dumps({"error": "it ended"}))
                os.waitpid(child, 0)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
