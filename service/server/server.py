"""uvicorn's server with a graceful shutdown that suits load balancers.

On SIGTERM the process first reports not ready, keeps serving while the balancer notices, and only
then stops accepting connections and lets requests in progress finish.
"""

import asyncio
import logging
import signal
import time
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, Final

import uvicorn

from core.log import event
from core.settings.settings import Settings
from service.http.drain import Drain
from service.server.connection import Connection
from service.server.connections import Connections
from service.server.limits import ACCEPTED_AT_ONCE, Limits, most_connections

_log = logging.getLogger(__name__)

_CLOSE: Final = (b"connection", b"close")
#: Length of the accept queue.
_QUEUE: Final = 2048
#: Ticks (0.1 s each) between two checks of connection deadlines.
_LOOK_EVERY: Final = 3
#: Seconds for clients to read that they were cut off; their unread input would otherwise reset the
#: connection and discard the response.
_LAST_ANSWERS: Final = 2


class Server(uvicorn.Server):
    """Serves until told to stop.

    Args:
        app: The application.
        settings: Address and limits.
        drain: Set by the first signal.
    """

    def __init__(self, app: Any, settings: Settings, drain: Drain) -> None:
        limits = Limits(
            settings.head_seconds,
            settings.body_seconds,
            most_connections(settings.max_connections),
        )
        self._open = Connections(limits)
        self._drain = drain
        self._pause = settings.drain_seconds
        self._grace = settings.service_grace_seconds
        #: When the drain period ends, on the monotonic clock; infinite before it starts.
        self._pause_ends = float("inf")
        super().__init__(self._configuration(app, settings))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start the drain period; a second signal, or one from the keyboard, ends it."""
        began, self._drain.started = self._drain.started, True
        if sig == signal.SIGTERM and self._pause and self.started and not began:
            self._pause_ends = time.monotonic() + self._pause
        else:
            super().handle_exit(sig, frame)

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                # The event loop accepts as many connections at once as its backlog, before it
                # handles any. Accept few at a time, to leave file descriptors for everything else.
                with listening.dup() as same:
                    same.listen(_QUEUE)

    async def on_tick(self, counter: int) -> bool:
        """Do periodic work; return whether to shut down."""
        if self._drain.started and _CLOSE not in self.config.encoded_headers:
            # Keep-alive clients go elsewhere with their next request.
            self.config.encoded_headers.append(_CLOSE)
            self.server_state.default_headers = [*self.server_state.default_headers, _CLOSE]
            event(_log, "service.draining", seconds=self._pause)
        if counter % _LOOK_EVERY == 0:
            self._open.look(asyncio.get_running_loop().time())
        return await super().on_tick(counter) or time.monotonic() >= self._pause_ends

    async def _wait_tasks_to_complete(self) -> None:
        """Let requests finish; cut off those that outlast the grace period, and tell them."""
        self._drain.release_waiting()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._grace):
                await super()._wait_tasks_to_complete()
        # Ctrl-C ends the grace period, not the orderly shutdown.
        self.force_exit = False
        cut_off = list(self.server_state.tasks)
        if not cut_off:
            return  # connections may be open, but all are answered
        event(_log, "service.cut_off", logging.WARNING, requests=len(cut_off))
        for task in cut_off:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_ANSWERS):
                await super()._wait_tasks_to_complete()

    def _configuration(self, app: Any, settings: Settings) -> uvicorn.Config:
        return uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=partial(Connection, self._open),  # type: ignore[arg-type] # uvicorn only calls it
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            # Trusted proxies are a setting (service/http/origin.py).
            proxy_headers=False,
            backlog=ACCEPTED_AT_ONCE,
            timeout_keep_alive=settings.keepalive_seconds,
            timeout_graceful_shutdown=None,  # bounded here: _wait_tasks_to_complete
        )
