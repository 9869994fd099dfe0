"""Streams on which nothing comes: their comments, and what the service does meanwhile."""

from collections.abc import Iterator
from typing import Any

import pytest

from core.redis.store import JobStore
from core.settings.settings import Settings
from service.watch import hub
from stack.servers.ports import Ports
from tests.conftest import Eventually
from tests.contract.jobs import accept
from tests.http.served_app import KEY, Served, served
from tests.http.sse import Events, Frame
from tests.http.test_waiting import A, B, fail


@pytest.fixture
def relay_app(
    store: JobStore, service_settings: Settings, ports: Ports, eventually: Eventually
) -> Iterator[Served]:
    """Run a service whose silent streams have a comment every 10 ms; no worker runs."""
    del store  # it has emptied Redis
    with served(service_settings, ports, eventually) as running:
        assert running.hub.keep_alive == hub.KEEP_ALIVE == 15
        running.hub.keep_alive = 0.01
        yield running


def test_a_silent_stream_is_kept_alive(relay_app: Served, store: JobStore) -> None:
    """A comment comes every 15 seconds: proxies close connections on which nothing comes."""
    accept(store, A)
    for path, after in (("/v1/events", 1), (f"/v1/jobs/{A}/events", 2)):
        with Events.of(relay_app.url, path, key=KEY) as told:
            for _ in range(after):
                told.next()
            assert told.next().fields[""] == "keep-alive"
            assert told.next().fields[""] == "keep-alive"


def test_a_stream_that_wants_none_of_the_events_keeps_its_place(
    relay_app: Served, store: JobStore, redis_client: Any
) -> None:
    """Its comments have an id: after a break it goes on although its first id is long gone."""
    wants = "/v1/events?status=canceled"
    with Events.of(relay_app.url, wants, key=KEY) as told:
        begin = told.next()
        accept(store, A, B)
        ((newest, _),) = redis_client.xrevrange("events:demo", count=1)
        comment = until(told, newest)
        assert (comment.event, comment.fields[""]) == ("", "keep-alive")
    # An hour later: all of that is gone, but for the newest event.
    redis_client.xtrim("events:demo", minid=newest)
    redis_client.xadd("events:demo", {"job": A, "status": "failed", "at": "1.5", "batch": ""})

    with Events.of(relay_app.url, wants, f"last-event-id: {comment.id}", key=KEY) as told:
        assert [told.next().event for _ in range(9)] == [""] * 9
    with Events.of(relay_app.url, "/v1/events", f"last-event-id: {comment.id}", key=KEY) as told:
        assert told.event().event == "job.failed"
    assert begin.id < comment.id


def test_events_that_are_passed_over_on_the_way_move_the_place(
    relay_app: Served, redis_client: Any
) -> None:
    """A stream that resumes, and wants none of the past events, is told how far it has come."""
    fields = {"job": A, "status": "failed", "at": "1.5", "batch": ""}
    first, last = (redis_client.xadd("events:demo", fields) for _ in range(2))
    with Events.of(
        relay_app.url, "/v1/events?status=canceled", f"last-event-id: {first}", key=KEY
    ) as told:
        assert told.next().fields == {"retry": "2000"}
        assert told.next().fields == {"id": last, "": "keep-alive"}


def test_an_event_that_was_lost_is_made_up_for(
    relay_app: Served, store: JobStore, redis_client: Any
) -> None:
    """The clock of Redis went back: new events stand before the last one that was read.

    The stream of a job looks at its job now and then, and so tells of the end all the same.
    """
    accept(store, A)
    with Events.of(relay_app.url, f"/v1/jobs/{A}/events", key=KEY) as told:
        told.next(), told.next()
        fields = {"job": B, "status": "queued", "at": "1.5", "batch": ""}
        redis_client.xadd("events:demo", fields, id="99999999999999-0")
        relay_app.eventually(lambda: relay_app.hub.stream.position("demo").at == 99999999999999)
        redis_client.delete("events:demo")
        fail(store, A)
        frames = (told.next() for _ in range(2000))
        last = next(frame for frame in frames if frame.event)
    assert last.event == "job.failed"


def until(told: Events, last: str) -> Frame:
    """Return the next frame whose id is an event's, or follows it."""

    def place(text: str) -> tuple[int, ...]:
        return tuple(map(int, text.split("-")))

    while place((frame := told.next()).id) < place(last):
        pass
    return frame
