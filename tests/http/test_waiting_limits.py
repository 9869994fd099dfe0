"""How many requests may wait, of one process and of one tenant."""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from core.redis.store import JobStore
from core.settings.settings import Settings
from service.http.shares import Refusals
from service.server.limits import most_waiters, waiters_of_each
from stack.servers.ports import Ports
from tests.conftest import Eventually
from tests.contract.jobs import accept
from tests.http.raw_http import Answer, Wire, ask
from tests.http.served_app import KEY, OTHER_KEY, Served, served
from tests.http.sse import Events
from tests.http.test_waiting import A, B, get, post


@pytest.fixture
def four(
    store: JobStore, service_settings: Settings, ports: Ports, eventually: Eventually
) -> Iterator[Served]:
    """Run a service in which four requests may wait, and a tenant have one stream of all jobs.

    It has two tenants.
    """
    accept(store, A)
    accept(store, B, tenant="other")
    few = service_settings.model_copy(update={"max_waiters": 4, "max_event_streams": 1})
    with served(few, ports, eventually) as running:
        yield running


def problem(answer: Answer) -> tuple[int, str, str]:
    """Return the status, the kind and the detail of a problem that has a Retry-After."""
    told = json.loads(answer.body)
    assert int(answer.headers["retry-after"]) > 0
    return answer.status, told["type"].removeprefix("urn:fluxrelay:problem:"), told["detail"]


@pytest.mark.parametrize("path", [f"/v1/jobs/{A}?wait=60", f"/v1/jobs/{A}/events", "/v1/events"])
def test_one_tenant_leaves_places_to_others(four: Served, path: str) -> None:
    """It has half of them; beyond, its wait or stream is a 429 that names the limit and its own."""
    with ExitStack() as stack:
        for _ in range(2):
            wire = stack.enter_context(Wire.to(four.url))
            wire.send(get(f"/v1/jobs/{A}?wait=60"))
        four.waits(2)

        status, kind, detail = problem(ask(four.url, get(path)))
        assert (status, kind) == (429, "too-many-waiting")
        assert detail.startswith("2 requests of yours wait in this process already")
        assert "FLUXRELAY_MAX_WAITERS" in detail
        preferred = ask(four.url, get(f"/v1/jobs/{A}", "prefer: wait=60"))
        assert (preferred.status, "preference-applied" in preferred.headers) == (200, False)
        assert ask(four.url, post("prefer: wait=60")).status == 202

        others = path.replace(A, B)
        for waiting in (3, 4):
            wire = stack.enter_context(Wire.to(four.url))
            wire.send(get(f"/v1/jobs/{B}?wait=60", key=OTHER_KEY))
            four.waits(waiting)
        status, kind, detail = problem(ask(four.url, get(others, key=OTHER_KEY)))
        assert (status, kind) == (503, "busy")
        assert detail.startswith("4 requests wait in this process already")
        assert "FLUXRELAY_MAX_WAITERS" in detail
        assert "FLUXRELAY_MAX_CONNECTIONS" in detail
    four.waits(0)
    with Events.of(four.url, f"/v1/jobs/{A}/events", key=KEY) as told:
        assert told.head.status == 200


def test_a_tenant_has_few_streams_of_all_its_jobs(four: Served) -> None:
    """Each is sent every event of the tenant; its other requests, and other tenants, may wait."""
    with Events.of(four.url, "/v1/events", key=KEY) as first:
        first.next()
        status, kind, detail = problem(ask(four.url, get("/v1/events")))
        assert (status, kind) == (429, "too-many-waiting")
        assert detail.startswith("You have 1 streams of all your jobs")
        assert "FLUXRELAY_MAX_EVENT_STREAMS" in detail
        four.waits(1)
        with (
            Events.of(four.url, f"/v1/jobs/{A}/events", key=KEY) as job,
            Events.of(four.url, "/v1/events", key=OTHER_KEY) as others,
        ):
            job.next(), others.next()
            four.waits(3)
    four.waits(0)
    with Events.of(four.url, "/v1/events", key=KEY) as again:
        again.next()
        four.waits(1)


def test_refused_requests_are_logged_and_counted(
    four: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """One line names the limit, the tenant and how many there were."""
    with Events.of(four.url, "/v1/events", key=KEY) as first:
        first.next()
        for _ in range(3):
            assert ask(four.url, get("/v1/events")).status == 429
    refusals = four.hub.waiters.refusals
    assert refusals.counts["events_of_one_tenant"] == 3
    assert refusals.counts.total() == 3

    with caplog.at_level(logging.WARNING):
        four.stop()
        four.eventually(four.stopped.is_set)
    (line,) = [one for one in caplog.records if one.msg == "requests.refused"]
    values = {"limit": "events_of_one_tenant", "most": 1, "tenant": "demo", "count": 3}
    assert vars(line)["fields"] == values


def test_refusals_are_logged_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    """The first one starts it; each limit and each tenant has a line, and nobody is told twice."""

    async def refuse() -> None:
        logged = asyncio.Event()
        refusals = Refusals(gather=0.0)
        for limit, tenant in (("a", "demo"), ("a", "other"), ("a", "demo"), ("b", "demo")):
            refusals.add(limit, 5, tenant)
        asyncio.get_running_loop().call_later(0.0, logged.set)  # behind the other timer
        await logged.wait()
        refusals.log()
        assert refusals.counts == {"a": 3, "b": 1}

    with caplog.at_level(logging.WARNING):
        asyncio.run(refuse())
    lines = [vars(one)["fields"] for one in caplog.records]
    assert [(line["limit"], line["tenant"], line["count"]) for line in lines] == [
        ("a", "demo", 2), ("a", "other", 1), ("b", "demo", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("most", "tenants", "each"),
    [(100, 1, 100), (100, 2, 50), (100, 3, 50), (7, 2, 4), (1, 2, 1)],
)
def test_a_tenant_that_is_alone_has_all_places(
    service_settings: Settings, most: int, tenants: int, each: int
) -> None:
    """With others beside it, it has half of them; several keys of one tenant are one."""
    keys = {f"{number}{key}": f"tenant-{number}" for number in range(tenants) for key in "ab"}
    changed = {"max_waiters": most, "max_connections": 1000, "api_keys": keys}
    settings = service_settings.model_copy(update=changed)

    assert (most_waiters(settings), waiters_of_each(settings)) == (most, each)
