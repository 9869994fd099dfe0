"""One client connection: uvicorn's HTTP protocol with limits on unauthenticated input.

While the head of a request arrives, the client is not authenticated yet, so its cost is bounded in
bytes, lines, seconds and connections. In the good case this costs a few assignments and one look at
the clock per request, and no timer: idle connections have deadlines as well.
"""

import asyncio
import logging
from math import inf
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from core.log import event
from service.body.request_body import TOO_SLOW
from service.http.problems import Problem
from service.server.connections import Connections
from service.server.departures import TellsDeparture
from service.server.framing import (
    NO_HEADERS,
    framing_problem,
    has_plain_framing,
    is_head_too_large,
    path_and_query,
    without_upgrade,
)
from service.server.limits import HEALTH_RESERVE, LARGEST_HEAD, LEAST_PROGRESS, MOST_PIPELINED
from service.server.lingering_close import LingeringTransport
from service.server.refusals import (
    head_too_large,
    head_too_slow,
    no_tunnel,
    parse_problem,
    refusal,
    too_many_pipelined,
)
from service.server.reserved_connections import HealthOnly

_log = logging.getLogger(__name__)


class Connection(TellsDeparture):
    """A connection that costs little until it has sent a whole head.

    Args:
        connections: The registry of all connections.
        config: From uvicorn, like all that follows.
        server_state: See uvicorn.
        app_state: See uvicorn.
        _loop: See uvicorn.
    """

    # Beyond 30 attributes an object's dict takes 1300 bytes more; uvicorn has 28 of its own.
    __slots__ = (
        "_all", "_awaited", "_before", "_begun", "_ended", "_in_body", "_keep_alive", "_lingering",
        "_progress", "_refusal", "_refused", "_unused", "deadline",
    )  # fmt: skip

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._all = connections
        #: Loop time by which the awaited input must have arrived.
        #: Whether a request has started, and so a cycle exists.
        self._begun = False
        self._in_body = False
        self._refused = False
        #: The response to a refused request.
        self._refusal = b""
        #: Whether the client has closed its sending side.
        self._ended = False
        #: The previous request, if it was still being answered when the newest arrived.
        self._before: RequestResponseCycle | None = None
        #: Bytes received that are neither a complete head nor body.
        self._unused = 0
        #: Bytes of the body received since the deadline was set.
        self._progress = 0
        #: Whether to keep the connection alive once the request was read completely.
        self._keep_alive = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn: only such come
        """Admit a new connection, unless there are too many."""
        self._lingering = LingeringTransport(transport, self._may_be_unread, self._on_linger)
        super().connection_made(self._lingering)
        # A connection opened in advance may be idle as long as one between two requests.
        self.deadline = self.loop.time() + self.timeout_keep_alive
        excess = self._all.opened(self)
        if excess > HEALTH_RESERVE:
            self.end()
        elif excess > 0:
            self.app = HealthOnly(self.app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Unregister the connection."""
        self._all.lost(self)
        super().connection_lost(exc)
        # Only a full collection frees the cycle of the parser and this object.
        self.headers = NO_HEADERS
        self.pipeline.clear()

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio heeds what is returned
        """Return whether to keep the transport open, as complete requests are still answered."""
        self._ended = True
        self.tell_departure()
        if self._lingering.is_closing() or not self._stop_reading():
            return False
        self.cycle.keep_alive &= self._refused  # the refusal is yet to come
        return True

    def data_received(self, data: bytes) -> None:
        """Parse input, within the limits."""
        if self._lingering.lingers or self._refused:
            self._lingering.discard(len(data))
            return
        self._unused += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except HttpParserError as error:
            # Only if all of the data is unused does the request begin with it.
            start = data if self._unused == len(data) else b""
            self._refuse_once(parse_problem(error, start))
        except HttpParserUpgrade as offer:
            self._pass_over(data[offer.args[0] :])
        if self._unused or self._in_body:
            self._bound_the_rest()

    def on_message_begin(self) -> None:
        """Start a request."""
        if not self._refused:
            super().on_message_begin()
            self.scope["state"] = self.app_state  # nobody changes it, so nobody needs a copy

    def on_headers_complete(self) -> None:
        """Start the application for the request, unless its head is invalid."""
        if self._refused or self.parser.should_upgrade():
            return
        if is_head_too_large(self.url, self.headers, self._unused):
            self._refuse(head_too_large())
            return
        if len(self.pipeline) >= MOST_PIPELINED:
            self._refuse(too_many_pipelined())
            return
        version = self.parser.get_http_version()
        if not has_plain_framing(self.url, version, self.headers) or self.expect_100_continue:
            if problem := framing_problem(self.url, version, self.headers):
                self._refuse(problem)
                return
            self.url = path_and_query(self.url)
            self.expect_100_continue &= version != "1.0"  # HTTP/1.0 has no 100
        self._all.works(self)
        self._unused, self._in_body = 0, True
        self._awaited, self.deadline = "", inf
        self._before = self.cycle if self._answers() else None
        super().on_headers_complete()
        self.headers = NO_HEADERS
        self._begun = True
        # A response that does not wait for the rest of the body closes the connection (and says
        # so), because how much is still to come is unknown.
        self._keep_alive, self.cycle.keep_alive = self.cycle.keep_alive, False

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body."""
        if not self._refused:
            self._unused = 0
            self._progress += len(body)
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request was read completely."""
        if self._refused or self.parser.should_upgrade():
            return
        self._unused, self._in_body = 0, False
        self._awaited, self.deadline = "", inf
        super().on_message_complete()
        if not self.cycle.response_started:
            # A trailer may have closed the connection: the parser reads nothing more.
            self.cycle.keep_alive = self._keep_alive and self.parser.should_keep_alive()

    def on_response_complete(self) -> None:
        """Go on with the next request, become idle, or close."""
        self._lingering.flush()
        super().on_response_complete()
        if self.transport.is_closing() or self._answers():
            return
        if self._refused:
            self.transport.write(self._refusal)
            self.transport.close()
        else:
            self._all.waits(self)

    def shutdown(self) -> None:
        """Close once the current request is answered."""
        self._keep_alive = False
        super().shutdown()

    def _refuse_once(self, problem: Problem) -> None:
        """Reject invalid HTTP, unless the same request was rejected before."""
        if not self._refused:
            self._refuse(problem)

    def expire(self, now: float) -> None:
        """Act on a deadline that has passed."""
        self.deadline = now + self._all.limits.body_seconds
        if self._lingering.is_closing():
            return  # closes by itself
        if not self._awaited:
            self.transport.close()
        elif self._awaited == "head":
            if not self._answers():  # a pipelined head may wait
                self._refuse(head_too_slow(self._all.limits.head_seconds))
        elif self._progress >= LEAST_PROGRESS or self.cycle.body or self.flow.read_paused:
            self._progress = 0  # it progresses, or the application is not reading
        else:
            self.cycle.scope[TOO_SLOW] = True  # type: ignore[typeddict-unknown-key] # ours
            self.cycle.message_event.set()

    def end(self) -> None:
        """Close at once."""
        self.transport.abort()

    def _pass_over(self, rest: bytes) -> None:
        """Parse a request again without its Upgrade header.

        The parser treats the offer as accepted, and what follows the head as not HTTP.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            self._refuse_once(no_tunnel())
            return
        plain = without_upgrade(method, self.url, version, self.headers)
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.data_received(plain + rest)

    def _bound_the_rest(self) -> None:
        """Bound the rest of a head or a body."""
        if self._refused or self._lingering.is_closing():
            return
        if self._unused > LARGEST_HEAD:
            self._refuse(head_too_large())
        elif self._in_body and not self._awaited:
            self._awaited, self._progress = "body", 0
            self.deadline = self.loop.time() + self._all.limits.body_seconds
        elif not self._in_body and not self._awaited:
            self._awaited = "head"
            self.deadline = self.loop.time() + self._all.limits.head_seconds

    def _refuse(self, problem: Problem) -> None:
        """Answer without calling the application, and close the connection.

        Requests before it are answered first.
        """
        self._refused, self.headers = True, NO_HEADERS
        event(_log, "connection.refused", status=problem.status.value, reason=problem.detail)
        self._refusal = refusal(problem, self.server_state.default_headers)
        if self._stop_reading():
            return
        answers = self._answers()
        if not answers or not self.cycle.response_started:
            self.transport.write(self._refusal)
        if answers:  # its output and input no longer matter
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _stop_reading(self) -> bool:
        """Expect no more input; return whether all that is being answered was read completely."""
        if self._in_body and self.pipeline and self._before:
            # Its rest will not arrive. It is queued behind another request, so the application has
            # not seen it.
            self.pipeline.popleft()
            self.cycle, self._in_body = self._before, False
        if self._in_body or not self._answers():
            return False
        self._awaited, self.deadline = "", inf
        return True

    def _answers(self) -> bool:
        """Return whether a request is being answered."""
        return self._begun and not self.cycle.response_complete

    def _may_be_unread(self) -> bool:
        return not self._ended and (self._refused or self._in_body or bool(self.pipeline))

    def _on_linger(self) -> None:
        self._all.waits(self)
