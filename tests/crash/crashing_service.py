"""A service that kills itself, with SIGKILL, at a chosen line of handling a request.

Run as `python -m tests.crash.crashing_service PATH FILE…` in the service's environment; it takes
the service's port. It reads a place per line of its input, forks a child that serves, and says so.
The first POST below PATH whose subject is new is the victim: the child dies when it is about to
execute that line of these files while that request is handled, in any thread. A subject is the path
and the `Idempotency-Key`; one that was a victim once is served normally from then on, so that a
repetition gets through. All other requests are served normally, too. The socket is bound by the
parent, so between two children connections wait instead of being refused.

For each place one line of JSON is answered: {"killed_at": "service/api/webhooks.py:41"}, or
{"lines": [[…], …]} when the victim was answered: the distinct lines, those together that die the
same death. The child serves on until the next place, or the end of the input.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
import threading
from types import FrameType
from typing import Any

from PIL import Image
from starlette.types import ASGIApp, Receive, Scope, Send

from core import log
from core.settings.settings import SERVICE, Settings
from service.app import create_app
from service.http.drain import Drain
from service.server.server import Server
from tests.crash.crash_point import ROOT, CrashPoint, SocketUses


class Victim:
    """Wraps the application: while the victim is handled, lines count.

    Args:
        application: Ours.
        path: Where victims are posted to.
        files: Whose lines count.
        fatal: The line to die at.
        spared: Subjects that met their fate before.
    """

    def __init__(
        self,
        application: ASGIApp,
        path: str,
        files: frozenset[str],
        fatal: CrashPoint,
        spared: set[str],
    ) -> None:
        self._application = application
        self._path = path
        self._files = files
        self._fatal = fatal
        self._spared = spared
        self._handled: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        subject = self._subject(scope)
        if subject is None or subject in self._spared:
            await self._application(scope, receive, send)
            return
        self._spared.add(subject)
        self._handled = subject
        try:
            await self._application(scope, receive, send)
        finally:
            self._handled = None
        self._fatal.tell_lines(subject=subject)

    def _subject(self, scope: Scope) -> str | None:
        if scope["type"] != "http" or scope["method"] != "POST" or self._handled:
            return None
        if not scope["path"].startswith(self._path):
            return None
        key = dict(scope["headers"]).get(b"idempotency-key", b"")
        return f"{scope['path']} {key.decode()}"

    def trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        """Trace function (`sys.settrace`): follows the files' frames."""
        if not self._handled or frame.f_code.co_filename not in self._files:
            return None
        if event == "line":
            filename = frame.f_code.co_filename
            self._fatal.passes(filename, frame.f_lineno, subject=self._handled)
        return self.trace


class Nursery:
    """Forks children that serve, one at a time."""

    def __init__(self, path: str, files: frozenset[str]) -> None:
        settings = Settings.from_env(os.environ, SERVICE)
        self._path = path
        self._files = files
        self._settings = settings
        self._application = create_app(settings)  # opens no connection, so it may be inherited
        self._socket = socket.create_server((settings.host, settings.port), backlog=2048)
        self._spared: set[str] = set()
        self._child = 0
        self._uses = SocketUses()
        self._uses.watch()
        gc.freeze()  # else each child's first collection copies all of this process's memory

    def serve(self, place: str) -> dict[str, Any]:
        """Have a child serve until its victim died, or was answered; return what it tells."""
        self.end()
        readable, writable = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(readable)
            self._run(CrashPoint(place, writable, uses=self._uses))
        os.close(writable)
        _say("ordered")  # only now: what comes is no longer for the child before, which is dead
        with os.fdopen(readable) as reports:
            # The input says nothing now; it is readable only once whoever gave orders is gone.
            told, _, _ = select.select([reports, sys.stdin], [], [])
            line = reports.readline() if reports in told else ""
        report: dict[str, Any] = json.loads(line) if line else {"error": "it ended"}
        self._spared.add(report.get("subject", ""))
        if "killed_at" in report:
            os.waitpid(self._child, 0)
            self._child = 0
        return report

    def end(self) -> None:
        """Kill the child that serves now, if one does."""
        if self._child:
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)
            self._child = 0

    def _run(self, fatal: CrashPoint) -> None:
        victim = Victim(self._application, self._path, self._files, fatal, self._spared)
        threading.settrace(victim.trace)
        sys.settrace(victim.trace)
        try:
            Server(victim, self._settings, Drain()).run(sockets=[self._socket])
        finally:
            os._exit(0)


def main(path: str, *files: str) -> None:
    """Serve with one child per place that is read, until the input ends."""
    log.set_up("ERROR")
    Image.init()
    nursery = Nursery(path, frozenset(str(ROOT / name) for name in files))
    _say("ready")
    while line := sys.stdin.readline():
        _say(json.dumps(nursery.serve(line.strip())))
    nursery.end()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
