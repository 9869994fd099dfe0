"""Waits and streams while Redis is away or hangs up, and in a service that dies."""

import asyncio
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
from starlette.requests import Request
from starlette.types import Message

from core.jobs.job import Job, JobId
from core.redis.events.event import Event
from core.redis.events.event_stream import EventStream, Follower
from core.redis.store import JobStore
from core.settings.settings import Settings
from service.http.shares import Refusals
from service.watch.hub import Hub
from service.watch.waiters import Waiters, WaitingLimits
from service.watch.waiting import wait_for_end
from stack.servers.ports import Ports
from stack.servers.valkey import Valkey
from stack.stack import Stack
from tests.conftest import Eventually
from tests.contract.jobs import accept
from tests.http.conftest import RunService
from tests.http.raw_http import Wire, ask, head
from tests.http.served_app import KEY, Served, served
from tests.http.sse import Events
from tests.http.test_waiting import A, B, fail, get, post, status
from tests.running_server import running


@pytest.fixture
def valkey(ports: Ports, tmp_path: Path) -> Iterator[Valkey]:
    """Run a Valkey for one test, which may take it away."""
    with running(Valkey(ports.take(), directory=tmp_path, log=tmp_path / "log")) as server:
        yield server


@pytest.fixture
def relay_app(
    store: JobStore, service_settings: Settings, ports: Ports, eventually: Eventually
) -> Iterator[Served]:
    """Run a service beside the store of the test; no worker runs."""
    del store  # it has emptied Redis
    with served(service_settings, ports, eventually) as running_service:
        yield running_service


def bring_back(valkey: Valkey) -> None:
    """Start a Valkey that was killed."""
    valkey.process.start()
    valkey.process.wait_ready()


def test_a_wait_outlives_a_restart_of_redis(
    relay_app: Served, store: JobStore, valkey: Valkey
) -> None:
    """A stream ends with a hint and can be resumed; a wait goes on, and is told of the end."""
    accept(store, A)
    with (
        ThreadPoolExecutor(1) as caller,
        Events.of(relay_app.url, "/v1/events", key=KEY) as told,
    ):
        answer = caller.submit(ask, relay_app.url, get(f"/v1/jobs/{A}?wait=60"))
        known = told.next().id
        relay_app.waits(2)

        valkey.process.kill()

        assert 500 <= int(told.rest()[-1].fields["retry"]) <= 3000
        relay_app.waits(1)
        for path in (f"/v1/jobs/{A}?wait=60", "/v1/events", f"/v1/jobs/{A}/events"):
            refused = ask(relay_app.url, get(path))
            assert (refused.status, "retry-after" in refused.headers) == (503, True)
        bring_back(valkey)
        fail(store, A)
        assert status(answer.result()) == "failed"
    relay_app.eventually(lambda: ask(relay_app.url, head("GET", "/readyz")).status == 200)
    with Events.of(relay_app.url, "/v1/events", f"last-event-id: {known}", key=KEY) as told:
        assert told.event().event == "job.failed"


def test_a_wait_that_ends_while_redis_is_away_shows_what_it_knows(
    relay_app: Served, store: JobStore, valkey: Valkey
) -> None:
    """200 with the job as it stood when the wait began."""
    accept(store, A)
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(ask, relay_app.url, get(f"/v1/jobs/{A}?wait=2"))
        relay_app.waits(1)
        valkey.process.kill()
        assert (answer.result().status, status(answer.result())) == (200, "submitting")
    bring_back(valkey)


def test_events_while_the_connection_is_broken_are_not_missed(
    relay_app: Served, redis_client: Any
) -> None:
    """The reader goes on behind its last event: one that came in between is delivered."""
    with Events.of(relay_app.url, "/v1/events", key=KEY) as told:
        told.next()
        fields = {"job": str(A), "status": "queued", "at": "1.5", "batch": ""}
        redis_client.xadd("events:demo", fields)
        assert told.event().data["job_id"] == A
        for _ in range(2):  # the second time on a connection that was opened again
            relay_app.eventually(lambda: bool(readers(redis_client)))
            (reader,) = readers(redis_client)
            both = redis_client.pipeline(transaction=True)
            both.execute_command("CLIENT", "KILL", "ID", reader)
            both.xadd("events:demo", {**fields, "job": str(B)})
            both.execute()
            assert told.event().data["job_id"] == B
        assert redis_client.xlen("events:demo") == 3


def test_a_connection_that_was_lost_is_not_used(
    redis_client: Any, service_settings: Settings
) -> None:
    """A connection that is lost between two commands is replaced at once."""

    class Killer:
        """Has the connection killed while the reader lets events gather."""

        def __init__(self) -> None:
            self.told: list[str] = []

        def wants_more(self) -> bool:
            """Return whether the second event is yet to come."""
            return "second" not in self.told

        def connected(self) -> None:
            """Add an event."""
            name = "second" if self.told else "first"
            fields = {"job": name, "status": "queued", "at": "1.5", "batch": ""}
            redis_client.xadd("events:demo", fields)

        def deliver(self, _tenant: str, one: Event) -> None:
            """Kill the connection that brought the first event."""
            self.told.append(one.job)
            for reader in readers(redis_client):
                redis_client.client_kill_filter(_id=reader)

        def lost(self) -> None:
            """Do nothing."""

    killer = Killer()

    async def follow() -> None:
        async with asyncio.timeout(8):  # less than a reader waits for an answer
            await EventStream(service_settings).follow(killer)
        await asyncio.sleep(0)  # the loop closes the socket in its next turn

    asyncio.run(follow())
    assert killer.told == ["first", "second"]


def readers(client: Any) -> list[str]:
    """Return the connections that block for events."""
    return [one["id"] for one in client.client_list() if one["cmd"] == "xread"]


def test_one_connection_reads_for_all_who_wait(
    relay_app: Served, store: JobStore, redis_client: Any
) -> None:
    """However many wait, Redis has one reader; once nobody waits, it has none after a while."""
    accept(store, A)
    assert readers(redis_client) == []
    with (
        Events.of(relay_app.url, "/v1/events", key=KEY) as first,
        Events.of(relay_app.url, f"/v1/jobs/{A}/events", key=KEY) as second,
    ):
        first.next(), second.next()
        relay_app.waits(2)
        relay_app.eventually(lambda: len(readers(redis_client)) == 1)


def test_a_reader_that_crashes_is_started_again(
    relay_app: Served, store: JobStore, redis_client: Any
) -> None:
    """What nobody foresaw ends streams with a hint; whoever comes next is served."""
    with Events.of(relay_app.url, "/v1/events", key=KEY) as told:
        told.next()
        redis_client.xadd("events:demo", {"job": "j", "status": "s", "at": "not a number"})
        assert "retry" in told.rest()[-1].fields
    with Events.of(relay_app.url, "/v1/events", key=KEY) as told:
        told.next()
        accept(store, A)
        assert told.event().data["job_id"] == A


class _Unreadable(EventStream):
    """Fails as a reader of events may.

    Args:
        settings: Name the server.
        fails: When: `before` it has reached Redis, `after` it, or it is `away`.
    """

    def __init__(self, settings: Settings, fails: str) -> None:
        super().__init__(settings)
        self._fails = fails

    async def follow(self, follower: Follower) -> None:
        """Fail."""
        if self._fails == "away":
            follower.lost()
            return
        if self._fails == "after":
            follower.connected()
            await asyncio.sleep(0)  # the request goes on, and waits
        raise ArithmeticError("for the test")


@pytest.mark.parametrize("fails", ["away", "before", "after"])
def test_a_job_that_was_accepted_is_answered_though_nobody_can_wait_for_it(
    relay_app: Served, store: JobStore, service_settings: Settings, fails: str
) -> None:
    """202 with the job, whatever becomes of the wait: an error would say that nothing was taken."""
    relay_app.hub.stream = _Unreadable(service_settings, fails)

    answer = ask(relay_app.url, post("prefer: wait=1", "idempotency-key: k"))

    assert (answer.status, status(answer)) == (202, "submitting")
    job = json.loads(answer.body)["id"]
    assert answer.headers["location"] == f"/v1/jobs/{job}"
    assert store.load(JobId(job)) is not None
    assert ("preference-applied" in answer.headers) == (fails == "after")
    again = ask(relay_app.url, post("prefer: wait=1", "idempotency-key: k"))
    assert (again.status, json.loads(again.body)["id"]) == (202, job)


def test_an_end_before_the_mailbox_is_not_missed(
    store: JobStore, service_settings: Settings
) -> None:
    """A job that ends between its look-up and the wait is not waited for."""
    (name,) = accept(store, A)
    before = store.load(name)
    assert before is not None
    fail(store, A)

    async def load() -> Job | None:
        return store.load(name)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def wait() -> Job | None:
        hub = Hub(EventStream(service_settings), Waiters(WaitingLimits(1, 1, 1), Refusals()))
        request = Request[Any]({"type": "http", "method": "GET", "headers": []}, receive)
        try:
            async with asyncio.timeout(60):
                job, _ = await wait_for_end(
                    hub, request, A, before, load, tenant="demo", seconds=3600
                )
        finally:
            await hub.close()
            await asyncio.sleep(0)  # the loop closes the socket in its next turn
        return job

    job = asyncio.run(wait())

    assert job is not None
    assert job.status == "failed"


@pytest.mark.usefixtures("full_house")
def test_a_service_that_is_killed_loses_nothing_but_the_wait(
    own_service: RunService, relay: Stack, redis_of: "redis.Redis", eventually: Eventually
) -> None:
    """The job is on disk before the wait begins: the same key finds it at another process."""
    key = f"x-key: {relay.api_key}"
    request = re.sub(
        rb"x-key: [^\r]*", key.encode(), post("prefer: wait=60", "idempotency-key: k9")
    )
    with own_service() as service, Wire.to(service.url) as wire:
        before = set(redis_of.scan_iter("job:*"))
        wire.send(request)
        eventually(lambda: bool(set(redis_of.scan_iter("job:*")) - before))
        service.process.kill()
        with pytest.raises((AssertionError, OSError)):
            wire.answer()
    (job,) = set(redis_of.scan_iter("job:*")) - before

    again = ask(relay.service_url, request.replace(b"wait=60", b"wait=0"))
    assert (again.status, again.headers["idempotency-replayed"]) == (202, "true")
    assert f"job:{json.loads(again.body)['id']}" == job
    cancel = head("POST", f"/v1/jobs/{json.loads(again.body)['id']}/cancel", key)
    assert ask(relay.service_url, cancel).status == 200
