"""uvicorn's protocol with less memory and no timers, as thousands of connections may wait."""

import asyncio
from math import inf
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Pipeline(list[Any]):
    """Requests that wait for their turn, as a queue that is nearly always empty.

    uvicorn's is a deque, which takes 700 bytes more.
    """

    __slots__ = ()

    def appendleft(self, request: Any) -> None:
        """Add the newest request."""
        self.insert(0, request)

    def popleft(self) -> Any:
        """Take the newest request away."""
        return self.pop(0)


class SmallConnection(HttpToolsProtocol):
    """A connection without the deques that it nearly never needs.

    Args:
        config: From uvicorn, like all that follows.
        server_state: See uvicorn.
        app_state: See uvicorn.
        _loop: See uvicorn.

    Attributes:
        deadline: Loop time by which the awaited input must have arrived.
    """

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.pipeline = Pipeline()  # type: ignore[assignment] # has what uvicorn calls
        self.deadline = inf
        #: What the deadline bounds: idle time (""), a "head" or a "body".
        self._awaited = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn: only such come
        """Accept a connection."""
        super().connection_made(transport)
        _shrink(self.flow._is_writable_event)  # noqa: SLF001 - uvicorn takes no event of ours

    def on_headers_complete(self) -> None:
        """Start a request; its task runs later."""
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            _shrink(self.cycle.message_event)

    def on_response_complete(self) -> None:
        """Go on with the next request, or become idle for a bounded time."""
        # In place of uvicorn's own method, which starts a timer for each response.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif not self._awaited:
            self.deadline = self.loop.time() + self.timeout_keep_alive


def _shrink(event: asyncio.Event) -> None:
    """Give an event for which nobody waits a list of those who do, in place of a deque."""
    plain: Any = event
    plain._waiters = []  # noqa: SLF001 - a deque takes 700 bytes more
