"""Server-sent events, of one job and of all jobs of a tenant."""

import socket
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from core.jobs.status import Status
from core.redis.store import JobStore
from core.settings.settings import Settings
from service.watch import hub
from stack.servers.ports import Ports
from tests.conftest import Eventually
from tests.contract.jobs import accept
from tests.http.raw_http import Wire, ask, head
from tests.http.served_app import KEY, Served, served
from tests.http.sse import Events
from tests.http.test_waiting import A, B, fail, get


@pytest.fixture
def relay_app(
    store: JobStore, service_settings: Settings, ports: Ports, eventually: Eventually
) -> Iterator[Served]:
    """Run a service beside the store of the test; no worker runs."""
    del store  # it has emptied Redis
    with served(service_settings, ports, eventually) as running:
        yield running


def stream(app: Served, path: str, *headers: str, key: str = KEY) -> AbstractContextManager[Events]:
    """Open a stream."""
    return Events.of(app.url, path, *headers, key=key)


def test_a_job_is_told_from_its_newest_status_to_its_end(
    relay_app: Served, store: JobStore
) -> None:
    """Each status comes with its number in the timeline and the job; then the stream ends."""
    accept(store, A)
    with stream(relay_app, f"/v1/jobs/{A}/events") as told:
        assert told.head.status == 200
        assert told.head.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert told.head.headers["cache-control"] == "no-store"
        assert told.head.headers["x-accel-buffering"] == "no"
        assert told.next().fields == {"retry": "2000"}
        first = told.next()
        assert (first.id, first.event) == ("2", "job.submitting")
        assert first.data["job"]["id"] == A
        assert first.data["status"] == "submitting"
        assert first.data["at"] == first.data["job"]["timeline"][-1]["at"]

        assert store.move(A, Status.GENERATING)
        assert (told.next().id, relay_app.hub.waiting) == ("3", 1)
        fail(store, A)
        last = told.next()
        assert (last.id, last.event, last.data["job"]["status"]) == ("4", "job.failed", "failed")
        assert told.rest() == []
    relay_app.waits(0)


@pytest.mark.parametrize("last", ["3", "4"])
def test_who_knows_the_end_is_told_to_stay_away(
    relay_app: Served, store: JobStore, last: str
) -> None:
    """204: a browser would otherwise connect again and again."""
    accept(store, A)
    fail(store, A)
    answer = ask(relay_app.url, get(f"/v1/jobs/{A}/events", f"last-event-id: {last}"))
    assert answer.status == 204


def test_a_head_opens_no_stream(relay_app: Served, store: JobStore) -> None:
    """It has the headers alone."""
    accept(store, A)
    for path in ("/v1/events", f"/v1/jobs/{A}/events"):
        answer = ask(relay_app.url, head("HEAD", path, f"x-key: {KEY}"))
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
    relay_app.waits(0)


def test_all_jobs_of_a_tenant_are_told(relay_app: Served, store: JobStore) -> None:
    """Each event names the job, its status and its time; others' jobs are not among them."""
    with stream(relay_app, "/v1/events") as told:
        begin = told.next()
        assert begin.fields["retry"] == "2000"
        assert begin.id
        accept(store, B, tenant="other")
        accept(store, A)
        fail(store, A)
        frames = [told.next() for _ in range(3)]

    events = ["job.queued", "job.submitting", "job.failed"]
    assert [frame.event for frame in frames] == events
    job = store.load(A)
    assert job
    assert [frame.data["status"] for frame in frames] == [status for status, _ in job.timeline]
    assert {frame.data["job_id"] for frame in frames} == {A}
    assert {frame.data["batch"] for frame in frames} == {None}
    assert frames[0].data["at"].endswith("Z")


@pytest.mark.parametrize("place", ["begin", "first", "last"])
def test_a_stream_goes_on_without_a_gap(relay_app: Served, store: JobStore, place: str) -> None:
    """Events that came while nobody listened come after `Last-Event-ID`, and no other twice."""
    with stream(relay_app, "/v1/events") as told:
        begin = told.next()
        accept(store, A)
        first, last = told.next(), told.next()
    known = {"begin": begin, "first": first, "last": last}[place].id
    relay_app.waits(0)
    assert store.move(A, Status.GENERATING)

    with stream(relay_app, "/v1/events", f"last-event-id: {known}") as told:
        missed = {"begin": 2, "first": 1, "last": 0}[place]
        events = ["job.queued", "job.submitting", "job.generating"][-missed - 1 :]
        assert [told.event().event for _ in events] == events
        fail(store, A)
        assert told.event().event == "job.failed"


def test_who_was_never_told_anything_goes_on_without_a_gap(
    relay_app: Served, store: JobStore
) -> None:
    """The stream begins with an id to go on from, also where nothing has ever happened."""
    with stream(relay_app, "/v1/events") as told:
        known = told.next().id
    with stream(relay_app, "/v1/events", f"last-event-id: {known}") as told:
        assert told.next().fields == {"retry": "2000"}
        accept(store, A)
        assert told.next().event == "job.queued"


@pytest.mark.parametrize("unknown", ["1-0", "x", "99999999999999-0", "1-", "٣-٣".encode().hex()])
def test_an_id_too_old_or_unknown_is_told(relay_app: Served, store: JobStore, unknown: str) -> None:
    """The first event says that others are gone; then come those from now on."""
    accept(store, B)
    with stream(relay_app, "/v1/events", f"last-event-id: {unknown}") as told:
        reset = told.event()
        assert reset.event == "reset"
        assert "list jobs" in reset.data["detail"]
        assert reset.id
        accept(store, A)
        assert told.event().data["job_id"] == A


def test_an_old_id_after_which_nothing_happened_is_known(
    relay_app: Served, store: JobStore, redis_client: Any
) -> None:
    """However long ago: nothing has been missed."""
    fields = {"job": str(B), "status": "queued", "at": "1.5", "batch": ""}
    redis_client.xadd("events:demo", fields, id="1000-0")
    with stream(relay_app, "/v1/events", "last-event-id: 1000-0") as told:
        accept(store, A)
        assert told.event().data["job_id"] == A


def test_events_are_filtered(relay_app: Served, redis_client: Any, store: JobStore) -> None:
    """By statuses, and by a batch; a batch that is complete is an event of its own."""
    with (
        stream(relay_app, "/v1/events?status=failed,canceled&status=succeeded") as ends,
        stream(relay_app, f"/v1/events?batch={A}") as batch,
    ):
        ends.next(), batch.next()
        accept(store, A)
        fail(store, A)
        for job, status in ((B, "queued"), ("", "completed")):
            fields = {"job": job, "status": status, "at": "1.5", "batch": A}
            redis_client.xadd("events:demo", fields)
        assert ends.next().event == "job.failed"
        queued, completed = batch.next(), batch.next()
    assert (queued.event, queued.data["job_id"], queued.data["batch"]) == ("job.queued", B, A)
    assert completed.event == "batch.completed"
    assert completed.data["job_id"] is None


@pytest.mark.parametrize("path", ["/v1/events", f"/v1/jobs/{A}/events"])
def test_who_leaves_a_stream_frees_its_place(relay_app: Served, store: JobStore, path: str) -> None:
    """A client that closes its connection, or its side of it, is noticed without an event."""
    accept(store, A)
    with stream(relay_app, path) as told:
        told.next()
        relay_app.waits(1)
    relay_app.waits(0)
    with stream(relay_app, path) as told:
        told.next()
        told.wire.socket.shutdown(1)
        relay_app.waits(0)
        told.rest()


@pytest.mark.parametrize("path", ["/v1/events", f"/v1/jobs/{A}/events"])
def test_who_resets_its_connection_frees_its_place(
    relay_app: Served, store: JobStore, path: str
) -> None:
    """A connection that breaks off is noticed without an event."""
    accept(store, A)
    with stream(relay_app, path) as told:
        told.next()
        relay_app.waits(1)
        at_once = struct.pack("ii", 1, 0)  # on, and for no time: close() resets
        told.wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    relay_app.waits(0)


def test_who_does_not_read_is_cut_off(
    relay_app: Served, store: JobStore, redis_client: Any
) -> None:
    """What waits for a slow client is bounded: its stream ends, and it goes on from its last id."""
    accept(store, A)
    with Wire.to(relay_app.url) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.send(get("/v1/events"))
        relay_app.waits(1)
        pipeline = redis_client.pipeline(transaction=False)
        fields = {"job": str(A), "status": "queued", "at": "1.5", "batch": "b" * 5000}
        for _ in range(3 * hub.MOST_UNTAKEN):
            pipeline.xadd("events:demo", fields)
        pipeline.execute()
        relay_app.eventually(lambda: any(box.closed for box in boxes(relay_app)))
    relay_app.waits(0)


def boxes(app: Served) -> list[Any]:
    """Return the mailboxes of all who wait."""
    return [box for some in list(app.hub._boxes.values()) for box in list(some)]  # noqa: SLF001 - nobody else can see them


@pytest.mark.parametrize("path", ["/v1/events", f"/v1/jobs/{A}/events"])
def test_a_stop_ends_streams_with_a_hint(relay_app: Served, store: JobStore, path: str) -> None:
    """Each is told when to try again, within some seconds and not all at once."""
    accept(store, A)
    with stream(relay_app, path) as told:
        told.next()
        relay_app.waits(1)
        relay_app.stop()
        last = told.rest()[-1]
    assert 500 <= int(last.fields["retry"]) <= 3000
    relay_app.eventually(relay_app.stopped.is_set)
