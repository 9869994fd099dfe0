"""What a stream of events, and a look at one job or batch, may be asked with."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from core.redis.store import JobStore
from core.settings.settings import Settings
from stack.servers.ports import Ports
from tests.conftest import Eventually
from tests.contract.jobs import accept
from tests.http.batch_calls import accepted, item
from tests.http.conftest import Caller
from tests.http.raw_http import ask
from tests.http.served_app import KEY, OTHER_KEY, Served, served
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


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        (f"/v1/jobs/{A}/events", OTHER_KEY, 404),
        (f"/v1/jobs/{B}/events", KEY, 404),
        (f"/v1/jobs/{A}/events?statuses=failed", "wrong", 401),
        ("/v1/events", "wrong", 401),
        ("/v1/events?statuses=failed", "wrong", 401),
        (f"/v1/jobs/{A}?wait=soon", "wrong", 401),
        (f"/v1/jobs/{B}?wait=soon", KEY, 404),
    ],
)
def test_problems_come_instead_of_a_stream(
    relay_app: Served, store: JobStore, path: str, key: str, status: int
) -> None:
    """A wrong key and a job of others are told before what is wrong with parameters."""
    accept(store, A)
    assert ask(relay_app.url, get(path, key=key)).status == status


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/events?status=done", {"query.status"}),
        ("/v1/events?status=", {"query.status"}),
        ("/v1/events?statuses=failed", {"query.statuses"}),
        ("/v1/events?Status=failed", {"query.Status"}),
        (f"/v1/events?batch={A}&batch={A}", {"query.batch"}),
        ("/v1/events?batch=typo", {"query.batch"}),
        ("/v1/events?batch=", {"query.batch"}),
        ("/v1/events?last_event_id=1-0&last_event_id=2-0", {"query.last_event_id"}),
        ("/v1/events?last_event_id=7", {"query.last_event_id"}),
        ("/v1/events?last_event_id=", {"query.last_event_id"}),
        ("/v1/events?a=1&a=2&batch=b&status=c", {"query.a", "query.batch", "query.status"}),
        (f"/v1/jobs/{A}/events?status=failed", {"query.status"}),
        (f"/v1/jobs/{A}/events?last_event_id=1&last_event_id=2", {"query.last_event_id"}),
        (f"/v1/jobs/{A}/events?last_event_id=-1", {"query.last_event_id"}),
        (f"/v1/jobs/{A}/events?last_event_id=1795278303345-0", {"query.last_event_id"}),
        (f"/v1/jobs/{A}?wiat=60", {"query.wiat"}),
        (f"/v1/jobs/{A}?wait=1&timeout=5", {"query.timeout"}),
    ],
)
def test_what_is_not_known_or_malformed_is_named(
    relay_app: Served, store: JobStore, path: str, fields: set[str]
) -> None:
    """422: a mistyped filter would otherwise admit every event, and a mistyped wait none."""
    accept(store, A)
    answer = ask(relay_app.url, get(path))

    assert answer.status == 422
    assert {error["field"] for error in json.loads(answer.body)["errors"]} == fields
    relay_app.waits(0)


def test_a_look_at_a_batch_knows_its_parameters(api: Caller) -> None:
    """422 for one that is not known; without parameters it is shown."""
    batch = accepted(api, {"items": [item("one")]})["id"]

    assert api.get(f"/v1/batches/{batch}").status_code == 200
    for query in ("x=1", "wiat=60", "wait=0&status=failed"):
        answer = api.get(f"/v1/batches/{batch}?{query}")
        assert answer.status_code == 422
        assert len(answer.json()["errors"]) == 1


@pytest.mark.parametrize(("last", "ids"), [("1", ["2", "3"]), ("2", ["3"]), ("0", ["1", "2", "3"])])
def test_a_job_is_told_again_from_a_number_on(
    relay_app: Served, store: JobStore, last: str, ids: list[str]
) -> None:
    """`Last-Event-ID`, in the header or the query, brings every later status."""
    accept(store, A)
    fail(store, A)
    again = told(relay_app, f"/v1/jobs/{A}/events", f"last-event-id: {last}")

    assert [frame.id for frame in again] == ids
    assert told(relay_app, f"/v1/jobs/{A}/events?last_event_id={last}") == again
    statuses = {"1": "queued", "2": "submitting", "3": "failed"}
    assert [frame.event for frame in again] == [f"job.{statuses[one]}" for one in ids]


@pytest.mark.parametrize("last", ["x", "-1", "1795278303345-0", "1" * 10, "٣".encode().hex()])
def test_who_knows_an_id_of_another_kind_is_told_everything(
    relay_app: Served, store: JobStore, last: str
) -> None:
    """The header is sent by itself, perhaps after another stream; nothing may be left out."""
    accept(store, A)
    fail(store, A)
    frames = told(relay_app, f"/v1/jobs/{A}/events", f"last-event-id: {last}")
    assert [frame.id for frame in frames] == ["1", "2", "3"]


def told(app: Served, path: str, *headers: str) -> list[Any]:
    """Return the events of a stream that ends."""
    with Events.of(app.url, path, *headers, key=KEY) as stream:
        assert stream.next().fields == {"retry": "2000"}
        return stream.rest()
