"""The line at which a process dies by its own hand.

What a process leaves behind can differ between two lines only if it used a socket in between: all
that it writes goes through one, and what others do meanwhile it learns by one. So the lines between
two uses of a socket die the same death, and one of them is enough.

Whoever traces a process says which lines count; this notes them, tells the place, and sends the
signal. Lines run in many threads, so all of it is behind a lock.
"""

import functools
import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
#: No line is called so: whoever is to die there lives.
NOWHERE: Final = ""
#: Whichever line comes first.
ANYWHERE: Final = "anywhere"
#: Between the number of a line and the turn of its loop.
_TURN: Final = "#"
#: The methods of a socket by which anything leaves or enters a process, or that show that it lives.
USES: Final = (
    *("accept", "bind", "close", "connect", "connect_ex", "listen", "shutdown"),
    *("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into"),
    *("send", "sendall", "sendfile", "sendmsg", "sendto"),
)


class SocketUses:
    """Counts how often this process uses a socket, in any thread."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def watch(self) -> None:
        """Count from now on."""
        for name in USES:
            setattr(socket.socket, name, self._counted(getattr(socket.socket, name)))

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def counted(*arguments: Any, **named: Any) -> Any:
            self._add()
            try:
                return method(*arguments, **named)
            finally:
                self._add()  # another thread's line may have come between

        return counted

    def _add(self) -> None:
        with self._lock:
            self.count += 1


class CrashPoint:
    """Notes distinct lines, and sends a signal to this process at one of them.

    Args:
        place: Which, as `lines` names it; NOWHERE or ANYWHERE.
        report: File descriptor that is told the place, as a line of JSON, before the signal.
        stop: What is sent: SIGKILL, or SIGSTOP for a process that is to be frozen.
        uses: The process's uses of sockets; None: each line is a death of its own.
    """

    def __init__(
        self,
        place: str,
        report: int,
        stop: signal.Signals = signal.SIGKILL,
        uses: SocketUses | None = None,
    ) -> None:
        self._seen: dict[tuple[str, int, object], int] = {}
        self._place = place
        self._report = report
        self._stop = stop
        self._uses = uses
        self._lock = threading.Lock()

    def passes(self, filename: str, number: int, turn: object = None, **more: Any) -> None:
        """Note a line that is about to be executed; do not return if it is the one.

        Args:
            filename: Whose line.
            number: Its number.
            turn: Which turn of a loop, if the line counts in each of them.
            more: What else is told beside the place.
        """
        line = filename, number, turn
        with self._lock:
            if line in self._seen:
                return
            self._seen[line] = self._uses.count if self._uses else len(self._seen)
        name = _name(*line)
        if self._place in (name, ANYWHERE):
            self.tell(killed_at=name, **more)
            os.kill(os.getpid(), self._stop)

    def tell_lines(self, **more: Any) -> None:
        """Report the lines that were passed, those together that die the same death."""
        with self._lock:
            deaths: dict[int, list[str]] = {}
            for line, uses in self._seen.items():
                deaths.setdefault(uses, []).append(_name(*line))
        self.tell(lines=list(deaths.values()), **more)

    def tell(self, **what: Any) -> None:
        """Write one line of JSON to the report."""
        os.write(self._report, (json.dumps(what) + "\n").encode())


def _name(filename: str, number: int, turn: object) -> str:
    name = f"{Path(filename).relative_to(ROOT)}:{number}"
    return name if turn is None else f"{name}{_TURN}{turn}"


def line_of(place: str) -> str:
    """Return a place without the turn of its loop."""
    return place.partition(_TURN)[0]


def file_of(place: str) -> str:
    """Return the file of a place."""
    return place.partition(":")[0]
