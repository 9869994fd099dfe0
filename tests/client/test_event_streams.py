"""Server-sent events as the client reads them, and how a stream goes on after it broke."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fluxrelay import Event, FluxRelay, NotFoundError, UnreachableError
from fluxrelay.operations.jobs import JobOperations
from fluxrelay.protocol.messages import Answer
from fluxrelay.protocol.server_events import EventParser, ServerEvent
from stack.stack import Stack
from tests.client.scripted_flow import World, session
from tests.client.scripted_service import (
    ENDED,
    JOB,
    ScriptedService,
    event,
    hangs_up,
    refuses,
    streams,
)
from tests.client.test_batches import DEFAULTS, item
from tests.client.test_jobs import made
from tests.contract.scripted_server import answer
from tests.http.sse import Events

OPEN = Answer(200, {"content-type": "text/event-stream"})
FIRST, LAST = event(1, "queued", JOB), event(2, "succeeded", ENDED)


def parsed(*pieces: bytes) -> list[ServerEvent]:
    """Return the events of a stream."""
    parser = EventParser()
    return [found for piece in pieces for found in parser.feed(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [("", "message", "a")]),
        (b"id: 1\nevent: job.queued\ndata: {}\n\n", [("1", "job.queued", "{}")]),
        (b"data:a\ndata:  b\n\n", [("", "message", "a\n b")]),
        (b"data\n\n", [("", "message", "")]),
        (b": keep-alive\n\nretry: 2000\n\n", []),
        (b"event: x\n\ndata: a\n\n", [("", "message", "a")]),
        (b"id: 1\n\ndata: a\n\n", [("1", "message", "a")]),
        (b"id: 1\ndata: a\n\nid\ndata: b\n\n", [("1", "message", "a"), ("", "message", "b")]),
        (b"id: a\0b\ndata: a\n\n", [("", "message", "a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [("", "message", "a")]),
        ("data: é\n\n".encode(), [("", "message", "é")]),
        (b"data: cut off\n", []),
        (b"unknown: a\ndata: b\n\n", [("", "message", "b")]),
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_is_parsed(stream: bytes, events: list[tuple[str, str, str]], end: bytes) -> None:
    """A stream gives the same events with each end of line, whole and byte by byte."""
    stream = stream.replace(b"\n", end)
    wanted = [ServerEvent(*found) for found in events]

    # After a carriage return, a line feed may follow, so the last event comes with what follows.
    assert parsed(stream, b":\n") == wanted
    assert parsed(*(bytes([byte]) for byte in stream), b":\n") == wanted


def test_the_service_says_when_to_come_back() -> None:
    """`retry` is read; what is no number is passed over."""
    parser = EventParser()
    list(parser.feed(b"retry: 2000\nretry: soon\n"))
    assert parser.retry == 2


def test_a_stream_goes_on_where_it_broke() -> None:
    """After a break the client asks for what follows the last whole event, and misses none."""
    pieces: Iterator[bytes | Exception] = iter(
        [
            b"retry: 1000\n\n",
            FIRST,
            b"id: 2\nevent: job.gen",
            UnreachableError("cut", sent=True),
            LAST,
        ]
    )
    world = World(iter([OPEN, OPEN]), pieces)

    world.run(JobOperations(session()).events("an-id").flow)

    assert [found.type for found in world.emitted] == ["job.queued", "job.succeeded"]
    assert [request.headers.get("last-event-id") for request in world.sent] == [None, "1"]
    assert world.slept == [0.5]


def test_a_stream_is_given_up_after_a_long_outage() -> None:
    """After five minutes without the service the error is raised."""
    world = World(iter([OPEN, *[UnreachableError("gone", sent=False)] * 200]), iter([FIRST]))

    with pytest.raises(UnreachableError):
        world.run(JobOperations(session()).events("an-id").flow)

    assert len(world.emitted) == 1


def test_events_of_a_job(scripted: FluxRelay, service: ScriptedService) -> None:
    """Both clients yield events with the job, over breaks, and end with the job."""
    service.says(
        hangs_up,
        refuses(503, "unavailable"),
        streams(b"retry: 1\n\n", FIRST),
        streams(b"retry: 1\n\n", LAST),
    )

    events = list(scripted.jobs.events(JOB["id"]))

    assert [(e.id, e.type, e.status) for e in events] == [
        ("1", "job.queued", "queued"),
        ("2", "job.succeeded", "succeeded"),
    ]
    assert [e.job and e.job.status for e in events] == ["queued", "succeeded"]
    assert events[0].job_id == JOB["id"]
    assert events[0].at == events[0].job.created_at  # type: ignore[union-attr]  # seen above
    assert service.requests[-1].headers["last-event-id"] == "1"


def test_events_of_a_real_job(client: FluxRelay) -> None:
    """The running product's events lead to the end of the job, each status once and in order."""
    job = made(client)

    events = list(client.jobs.events(job))

    numbers = [int(event.id) for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(events)))
    last = events[-1].job
    assert last is not None
    assert last.succeeded
    assert events[-1].at == last.ended_at
    # All statuses from the first one on, whichever it was; then nothing more.
    rest = list(client.jobs.events(job, last_event_id="1"))
    assert [event.status for event in rest] == [entry.status for entry in last.timeline[1:]]
    assert list(client.jobs.events(job, last_event_id=events[-1].id)) == []


def test_events_of_all_jobs(client: FluxRelay) -> None:
    """The stream of all jobs tells of a job's end, and resumes after an event."""
    seen: list[Event] = []
    stream = client.events(status=["succeeded", "failed"])
    with contextlib.closing(stream), ThreadPoolExecutor(1) as pool:
        # The stream begins with what is new, so jobs are made until one of them is told of.
        first = pool.submit(next, stream)
        while not first.done():
            seen_job = client.jobs.wait(made(client))
        seen.append(first.result())
    assert seen[0].type == "job.succeeded"
    assert seen_job.succeeded

    later = made(client)
    resumed = client.events(last_event_id=seen[0].id)
    with contextlib.closing(resumed):
        for event in resumed:
            if event.job_id == later.id and event.status == "succeeded":
                break
    assert event.at == client.jobs.get(later).ended_at


def test_the_end_of_a_batch_is_an_event(client: FluxRelay, relay: Stack) -> None:
    """It comes behind the ends of its jobs, tells of no job, and the batch is then complete."""
    with Events.of(relay.service_url, "/v1/events", key=relay.api_key) as told:
        known = told.next().id
    batch = client.batches.create([item("a"), item("b")], defaults=DEFAULTS)
    types: list[str] = []

    stream = client.events(last_event_id=known, batch=batch)
    with contextlib.closing(stream):
        for event in stream:
            types.append(event.type)
            if event.type == "batch.completed":
                break

    assert (types.count("job.succeeded"), types.count("batch.completed")) == (2, 1)
    assert (event.data["batch"], event.job_id, event.job) == (batch.id, None, None)
    assert client.batches.get(batch).ended


def test_nothing_comes_after_the_end(scripted: FluxRelay, service: ScriptedService) -> None:
    """A stream that is resumed after its last event ends, instead of asking again and again."""
    service.says(hangs_up, answer(204))

    assert list(scripted.jobs.events(JOB["id"], last_event_id="2")) == []


def test_a_stream_that_is_refused(scripted: FluxRelay, service: ScriptedService) -> None:
    """A refusal is raised, with what the problem says."""
    service.says(refuses(404, "no-such-job"))

    with pytest.raises(NotFoundError, match="refused as no-such-job"):
        list(scripted.jobs.events("an-id"))


def test_an_event_that_is_not_ours() -> None:
    """What is not JSON is kept as text."""
    world = World(iter([OPEN, Answer(204)]), iter([b"data: hi\n\n"]))

    world.run(JobOperations(session()).events("an-id", last_event_id="2").flow)

    assert world.emitted == [Event("2", "message", {"text": "hi"})]
    assert (world.emitted[0].job, world.emitted[0].job_id, world.emitted[0].at) == (None,) * 3
