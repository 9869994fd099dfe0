"""The line at which a process dies by its own hand: the k-th distinct one of ours that it executes.

Whoever traces a process says which lines count; this counts them, tells the place, and sends the
signal. Lines run in many threads, so the count is behind a lock.
"""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
#: Beyond the last line of any step: whoever gets this k does not die.
NEVER: Final = 10**9


class CrashPoint:
    """Counts distinct lines, and sends a signal to this process at the k-th.

    Args:
        k: Which line, from 1.
        report: File descriptor that is told the place, as a line of JSON, before the signal.
        stop: What is sent: SIGKILL, or SIGSTOP for a process that is to be frozen.
    """

    def __init__(self, k: int, report: int, stop: signal.Signals = signal.SIGKILL) -> None:
        self._seen: set[tuple[str, int, object]] = set()
        self._k = k
        self._report = report
        self._stop = stop
        self._lock = threading.Lock()

    @property
    def lines(self) -> int:
        """How many distinct lines were passed so far."""
        return len(self._seen)

    def passes(self, filename: str, number: int, turn: object = None, **more: Any) -> None:
        """Count a line that is about to be executed; do not return if it is the one.

        Args:
            filename: Whose line.
            number: Its number.
            turn: Which turn of a loop, if the line counts in each of them.
            more: What else is told beside the place.
        """
        with self._lock:
            if (filename, number, turn) in self._seen:
                return
            self._seen.add((filename, number, turn))
            fatal = len(self._seen) == self._k
        if fatal:
            place = f"{Path(filename).relative_to(ROOT)}:{number}"
            self.tell(killed_at=place, **more)
            os.kill(os.getpid(), self._stop)

    def tell(self, **what: Any) -> None:
        """Write one line of JSON to the report."""
        os.write(self._report, (json.dumps(what) + "\n").encode())
