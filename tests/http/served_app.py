"""The service in a thread of the test, which can look at who waits in it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from starlette.types import ASGIApp

from core.settings.settings import Settings
from service.app import create_app
from service.http.drain import Drain
from service.server.server import Server
from service.watch.hub import Hub
from stack.servers.ports import Ports
from tests.conftest import Eventually
from tests.http.raw_http import ask, head

#: A key of the tenant `demo`, and one of `other` (tests/conftest.py).
KEY, OTHER_KEY = "api-key-of-a-test-0001", "api-key-of-a-test-0002"


@dataclass(frozen=True)
class Served:
    """A running service."""

    url: str
    hub: Hub
    eventually: Eventually
    stop: Callable[[], None]
    stopped: threading.Event

    def waits(self, count: int) -> None:
        """Return once so many requests wait."""
        self.eventually(lambda: self.hub.waiting == count)


@contextmanager
def served(
    settings: Settings,
    ports: Ports,
    eventually: Eventually,
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> Iterator[Served]:
    """Serve until the context is left.

    Args:
        settings: The service's settings.
        ports: Has a free port.
        eventually: Waits for a condition.
        around: Returns what is served in place of the application; it may pass requests on.
    """
    port, drain, stopped = ports.take(), Drain(), threading.Event()
    changed = {"port": port, "drain_seconds": 0.0, "service_grace_seconds": 60}
    app = around(create_app(settings, drain))
    server = Server(app, settings.model_copy(update=changed), drain)

    def run() -> None:
        server.run()
        stopped.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        eventually(lambda: server.started)
        url, hub = f"http://127.0.0.1:{port}", cast("Any", drain.release_waiting).__self__
        assert ask(url, head("GET", "/livez")).status == 200
        yield Served(
            url, hub, eventually, lambda: server.handle_exit(signal.SIGTERM, None), stopped
        )
    finally:
        server.handle_exit(signal.SIGTERM, None)
        thread.join()
