"""Event streams that go on where they broke."""

from __future__ import annotations

import json
from collections.abc import Set as AbstractSet

from fluxrelay.errors import ProblemError, UnreachableError
from fluxrelay.operations.waiting import Outage
from fluxrelay.protocol.effects import Close, Emit, Flow, Sleep, now, read
from fluxrelay.protocol.messages import Answer, Request
from fluxrelay.protocol.server_events import EventParser, ServerEvent
from fluxrelay.protocol.session import Session
from fluxrelay.types.reference import Event

#: Seconds before a connection that ended is made anew, unless the service says another time.
_RETRY = 2.0
#: The status of a stream that has no more events.
_NO_MORE = 204


def event_stream(
    session: Session,
    path: str,
    *,
    params: tuple[tuple[str, str], ...] = (),
    last_id: str | None = None,
    ends: AbstractSet[str] = frozenset(),
) -> Flow[None]:
    """Emit the events of a stream, until one whose type is in `ends`.

    Args:
        session: the client's settings.
        path: where the stream is.
        params: the query's parameters.
        last_id: id of the event after which to begin; None begins with what is new.
        ends: types of events after which nothing comes.

    Raises:
        UnreachableError: The service has been out of reach for five minutes.
        ProblemError: The service refuses the stream, or has been unavailable as long.
    """
    parser = EventParser(last_id or "")
    outage = Outage(session.retries)
    while True:
        pause = 0.0
        try:
            answer = yield from session.attempt(_request(path, params, parser.last_id), stream=True)
            if (yield from _emit(answer, parser, outage, ends)):
                return
        except (UnreachableError, ProblemError) as error:
            pause = outage.failed(error, (yield from now()))
        parser.reconnected()
        asked = _RETRY if parser.retry is None else parser.retry
        yield Sleep(max(pause, asked * (0.5 + session.retries.random())))


def _request(path: str, params: tuple[tuple[str, str], ...], last_id: str) -> Request:
    headers = {"accept": "text/event-stream", "cache-control": "no-store"}
    if last_id:
        headers["last-event-id"] = last_id
    return Request("GET", path, params, headers)


def _emit(
    answer: Answer, parser: EventParser, outage: Outage, ends: AbstractSet[str]
) -> Flow[bool]:
    """Emit the events of one connection; return whether nothing can come after them."""
    while piece := (yield from read(answer)):
        outage.over()
        for event in parser.feed(piece):
            yield Emit(_event(event))
            if event.type in ends:
                yield Close(answer)
                return True
    yield Close(answer)
    return answer.status == _NO_MORE


def _event(event: ServerEvent) -> Event:
    try:
        data = json.loads(event.data)
    except ValueError:
        data = None
    return Event(event.id, event.type, data if isinstance(data, dict) else {"text": event.data})
