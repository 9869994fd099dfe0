"""What a connection whose request waits keeps in memory: there may be thousands."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from core.redis.store import JobStore
from core.settings.settings import Settings
from service.server.connection import Connection
from service.server.small_connection import Pipeline
from stack.servers.ports import Ports
from tests.conftest import Eventually
from tests.contract.jobs import accept
from tests.http.raw_http import Wire
from tests.http.served_app import Served, served
from tests.http.test_waiting import A, get

#: Most attributes of an object that Python keeps beside it; with more, it gets a table of its own.
MOST_ATTRIBUTES = 30


@pytest.fixture
def relay_app(
    store: JobStore, service_settings: Settings, ports: Ports, eventually: Eventually
) -> Iterator[Served]:
    """Run a service beside the store of the test; no worker runs."""
    del store  # it has emptied Redis
    with served(service_settings, ports, eventually) as running:
        yield running


def test_a_connection_that_waits_is_small(relay_app: Served, store: JobStore) -> None:
    """It has no empty deque, each of which takes 760 bytes, and no table of attributes."""
    accept(store, A)
    with Wire.to(relay_app.url) as wire:
        wire.send(get(f"/v1/jobs/{A}?wait=60"))
        relay_app.waits(1)
        found: list[Any] = [one for one in gc.get_objects() if type(one) is Connection]
        (connection,) = [one for one in found if one.cycle and one.scope["path"].endswith(A)]

        assert len(vars(connection)) <= MOST_ATTRIBUTES
        assert isinstance(connection.pipeline, list)
        events = (connection.flow._is_writable_event, connection.cycle.message_event)  # noqa: SLF001 - nobody else can see it
        assert [vars(event)["_waiters"] for event in events] == [[], []]


def test_a_pipeline_is_a_queue() -> None:
    """The oldest request is answered first, and the newest can be taken back."""
    pipeline = Pipeline()
    for request in "abc":
        pipeline.appendleft(request)

    assert pipeline.popleft() == "c"
    assert [pipeline.pop(), pipeline.pop()] == ["a", "b"]
    assert not pipeline
