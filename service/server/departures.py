"""Tells requests that take long when their client leaves."""

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.http.leaving import HAS_LEFT, ON_LEAVE
from service.server.old_http import AnswersOldHttp


class TellsDeparture(AnswersOldHttp):
    """uvicorn's protocol, which calls `ON_LEAVE` of the requests that are being answered."""

    #: Requests that were still being answered, or queued, when a later one was pipelined.
    _earlier: tuple[RequestResponseCycle, ...] = ()

    def on_headers_complete(self) -> None:
        """Remember the request before this one if it is still being answered."""
        before: RequestResponseCycle | None = self.cycle  # uvicorn's type leaves the None out
        unfinished = before and not before.response_complete
        self._earlier = (*self._earlier, self.cycle) if unfinished else ()
        super().on_headers_complete()
        if unfinished and len(self.pipeline) == 1:
            # uvicorn reads on only when the request before is answered, and so would not notice
            # for as long that the client leaves. Behind more than one it pauses, as their input
            # is bounded.
            self.flow.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all requests that the connection was lost."""
        super().connection_lost(exc)
        for cycle in self._earlier:
            cycle.disconnected = True
        self.tell_departure()
        self._earlier = ()

    def tell_departure(self) -> None:
        """Tell every request that has asked for it, once."""
        newest: RequestResponseCycle | None = self.cycle
        for cycle in (*self._earlier, newest):
            if cycle:
                scope: dict[str, Any] = cast("Any", cycle.scope)
                scope[HAS_LEFT] = True
                scope.pop(ON_LEAVE, _nothing)()


def _nothing() -> None:
    """Do nothing: the request has not asked to be told."""
