"""One client's connection: HTTP as uvicorn reads it, with limits on what comes before the key.

Nobody has shown a key while the head of a request comes, so what that may cost is bounded here: in
bytes, lines, seconds and connections. Where nothing is amiss this costs a few assignments per
request: no timer of its own, and no look at the clock where a request comes in one piece.
"""

import asyncio
import logging
from http import HTTPStatus
from math import inf
from typing import Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from core.log import event
from service.body.request_body import TOO_SLOW
from service.http.problems import Problem
from service.server.connections import HEALTH_RESERVE, Connections
from service.server.framing import flaw, is_usual, without_offer
from service.server.lingering_close import LingeringTransport
from service.server.reserved_connections import HealthAlone

_log = logging.getLogger(__name__)

#: Bytes of a head; also of what stands between two pieces of a body, or behind its last.
LARGEST_HEAD: Final = 64 * 1024
MOST_HEADERS: Final = 200
#: What comes with each header besides its name and value: a colon, a space, a line's end.
_AROUND: Final = 4  # bytes
#: Bytes of a body that must come within the time for a body. What is larger has a rule of its own
#: (service/body/request_body.py), which is stricter.
_PROGRESS: Final = 64 * 1024


class Connection(HttpToolsProtocol):
    """A connection that costs little until it has sent a whole head.

    Args:
        connections: All of them; each tells of itself there.
        config: uvicorn's, as is all that follows.
        server_state: As above.
        app_state: As above.
        _loop: As above.

    Attributes:
        deadline: The loop's time at which what is waited for must have come.
    """

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
        self.deadline = inf
        #: What the deadline is for: silence "", a "head" or a "body".
        self._awaited = ""
        #: Whether there ever was a request, and so a cycle.
        self._begun = False
        self._in_body = False
        self._refused = False
        #: Whether the client has ended its side.
        self._ended = False
        #: The request before the newest, where it was still under way when that came.
        self._before: RequestResponseCycle | None = None
        #: Bytes that came and are neither a whole head nor body.
        self._unused = 0
        #: Bytes of the body since the deadline was set.
        self._progress = 0
        #: Whether the connection is kept once the request was read to its end.
        self._keep_alive = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn: only such come
        """Take a new connection in, unless there are too many."""
        self._lingering = LingeringTransport(transport, self._may_be_unread, self._on_linger)
        super().connection_made(self._lingering)
        # One that was opened ahead of need may be silent for as long as one between two requests.
        self.deadline = self.loop.time() + self.timeout_keep_alive
        excess = self._all.opened(self)
        if excess > HEALTH_RESERVE:
            self.end()
        elif excess > 0:
            self.app = HealthAlone(self.app)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end."""
        self._all.lost(self)
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio heeds what is returned
        """Go on while a whole request is being answered, though the client has ended its side.

        Returns:
            Whether the connection is kept; its last answer ends it.
        """
        self._ended = True
        return not self._lingering.is_closing() and self._answers_last()

    def data_received(self, data: bytes) -> None:
        """Read on, within bounds."""
        if self._lingering.lingers or self._refused:
            self._lingering.discard(len(data))
            return
        self._unused += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        except HttpParserUpgrade as offer:
            self._pass_over(data[offer.args[0] :])
        if self._unused or self._in_body:
            self._bound_the_rest()

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self._refused:
            super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start what answers the request, unless its head is too large."""
        if self._refused or self.parser.should_upgrade():
            return
        if len(self.headers) > MOST_HEADERS or (
            # What came is more than the head, so it is added up only where it could be too large.
            self._unused > LARGEST_HEAD and self._size_of_head() > LARGEST_HEAD
        ):
            self._refuse_head()
            return
        if not is_usual(self.headers) or self.expect_100_continue:
            version = self.parser.get_http_version()
            if problem := flaw(self.headers, version):
                self._refuse(problem.status, problem.kind, problem.detail)
                return
            self.expect_100_continue &= version != "1.0"  # which knows no 100
        self._all.works(self)
        self._unused, self._in_body = 0, True
        self._awaited, self.deadline = "", inf
        self._before = self.cycle if self._answers() else None
        super().on_headers_complete()
        self._begun = True
        # An answer that does not wait for the rest of the body ends the connection (and says so),
        # for how much is still to come, and whether any, is the client's secret.
        self._keep_alive, self.cycle.keep_alive = self.cycle.keep_alive, False

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on."""
        if not self._refused:
            self._unused = 0
            self._progress += len(body)
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Take note that the request was read to its end."""
        if self._refused or self.parser.should_upgrade():
            return
        self._unused, self._in_body = 0, False
        self._awaited, self.deadline = "", inf
        super().on_message_complete()
        if not self.cycle.response_started:
            self.cycle.keep_alive = self._keep_alive

    def on_response_complete(self) -> None:
        """Wait for the next request, or end."""
        super().on_response_complete()
        if not self.transport.is_closing() and not self._answers():
            self._all.waits(self)

    def shutdown(self) -> None:
        """End, once the request under way is answered."""
        self._keep_alive = False
        super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, unless the same request was refused before."""
        if not self._refused:
            self._refuse(HTTPStatus.BAD_REQUEST, "bad-request", msg)

    def expire(self, now: float) -> None:
        """Act on the deadline, which has passed."""
        self.deadline = now + self._all.limits.body_seconds
        if self._lingering.is_closing():
            return  # which ends by itself
        if not self._awaited:
            self.transport.close()
        elif self._awaited == "head":
            if not self._answers():  # a head that comes too early may wait
                detail = (
                    f"The headers took longer than {self._all.limits.head_seconds:g} s to arrive"
                )
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, "too-slow", detail)
        elif self._progress >= _PROGRESS or self.cycle.body or self.flow.read_paused:
            self._progress = 0  # it goes on, or is not what is waited for
        else:
            self.cycle.scope[TOO_SLOW] = True  # type: ignore[typeddict-unknown-key] # ours
            self.cycle.message_event.set()

    def end(self) -> None:
        """End at once."""
        self.transport.abort()

    def _pass_over(self, rest: bytes) -> None:
        """Read a request anew, as if it had offered no other protocol than HTTP/1.1.

        The parser takes the offer for agreed, and what follows the head for no HTTP.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            self.send_400_response("There are no tunnels here")
            return
        plain = without_offer(method, self.url, version, self.headers)
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.data_received(plain + rest)

    def _bound_the_rest(self) -> None:
        """Bound what is still to come of a head or a body."""
        if self._refused or self._lingering.is_closing():
            return
        if self._unused > LARGEST_HEAD:
            self._refuse_head()
        elif self._in_body and not self._awaited:
            self._awaited, self._progress = "body", 0
            self.deadline = self.loop.time() + self._all.limits.body_seconds
        elif not self._in_body and not self._awaited:
            self._awaited = "head"
            self.deadline = self.loop.time() + self._all.limits.head_seconds

    def _size_of_head(self) -> int:
        lines = sum(len(name) + len(value) + _AROUND for name, value in self.headers)
        return len(self.url) + lines

    def _refuse_head(self) -> None:
        detail = f"Headers may have {LARGEST_HEAD} bytes and {MOST_HEADERS} lines; send fewer"
        kind = "head-too-large"
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, kind, detail)

    def _refuse(self, status: HTTPStatus, kind: str, detail: str) -> None:
        """Answer without asking the application, and end the connection.

        Behind a whole request that is still to be answered, that answer is given, and no other.
        """
        self._refused = True
        event(_log, "connection.refused", status=status.value, reason=detail)
        if self._answers_last():
            return
        answers = self._answers()
        if not answers or not self.cycle.response_started:
            answer = Problem(status, kind, detail).response()
            headers = [*self.server_state.default_headers, *answer.raw_headers]
            headers = [pair for pair in headers if pair[0] != b"connection"]
            lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
            self.transport.write(STATUS_LINE[status.value] + lines + b"connection: close\r\n\r\n")
            self.transport.write(bytes(answer.body))
        if answers:  # what it says, or waits for, would come to nothing
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _answers_last(self) -> bool:
        """Let the answer to the last whole request be the last; say whether it is still to come."""
        if self._in_body and self.pipeline and self._before:
            # Its rest will not come. It waits for the one before it, so nobody has seen it.
            self.pipeline.popleft()
            self.cycle, self._in_body = self._before, False
        if self._in_body or not self._answers():
            return False
        self.cycle.keep_alive = False
        self._awaited, self.deadline = "", inf
        return True

    def _answers(self) -> bool:
        """Say whether a request is under way."""
        return self._begun and not self.cycle.response_complete

    def _may_be_unread(self) -> bool:
        return not self._ended and (self._refused or self._in_body or bool(self.pipeline))

    def _on_linger(self) -> None:
        self._all.waits(self)
