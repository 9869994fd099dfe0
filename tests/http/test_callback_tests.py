"""`POST /v1/callbacks/test` while no worker runs: how many may wait, and for how long."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.redis.store import JobStore
from core.settings.settings import Settings
from stack.servers.ports import Ports
from tests.conftest import Eventually
from tests.http.raw_http import Answer, Wire, ask, head
from tests.http.served_app import KEY, OTHER_KEY, Served, served
from tests.http.test_without_threads import without_threads

BODY = json.dumps({"url": "http://127.0.0.1:9/hook"}).encode()
#: Keys of nine tenants, who may have two tests each.
KEYS = [f"api-key-of-tenant-{number:04}" for number in range(9)]


@pytest.fixture
def relay_app(
    store: JobStore, service_settings: Settings, ports: Ports, eventually: Eventually
) -> Iterator[Served]:
    """Run a service beside the store of the test."""
    del store  # it has emptied Redis
    with served(service_settings, ports, eventually) as running:
        yield running


def request(key: str = KEY) -> bytes:
    """Return a request that tries a URL out."""
    headers = (f"x-key: {key}", f"content-length: {len(BODY)}")
    return head("POST", "/v1/callbacks/test", *headers) + BODY


def ordered(client: Any) -> list[str]:
    """Return the ids of all tests that were ordered."""
    return [str(key).removeprefix("callback-test:") for key in client.keys("callback-test:*")]


def has_ordered(client: Any, count: int) -> bool:
    """Return whether so many tests were ordered."""
    return len(ordered(client)) == count


def figures(url: str) -> dict[str, float]:
    """Return the metrics of requests that wait, and of those that were refused."""
    text = ask(url, head("GET", "/metrics")).body.decode()
    return {
        next(iter(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        if family.name in {"fluxrelay_waiting_requests", "fluxrelay_requests_refused"}
        for sample in family.samples
    }


def problem(answer: Answer) -> tuple[int, str, str]:
    """Return the status, the kind and the first word of a problem that has a Retry-After."""
    told = json.loads(answer.body)
    assert int(answer.headers["retry-after"]) > 0
    kind = told["type"].removeprefix("urn:fluxrelay:problem:")
    return answer.status, kind, told["detail"].split()[0]


def test_a_tenant_has_two_at_a_time(relay_app: Served, redis_client: Any) -> None:
    """A third is a 429 and sends nothing; those that leave free their places at once."""
    with ExitStack() as stack:
        for count in (1, 2):
            stack.enter_context(Wire.to(relay_app.url)).send(request())
            relay_app.eventually(partial(has_ordered, redis_client, count))

        for _ in range(3):
            assert problem(ask(relay_app.url, request())) == (429, "too-many-tests", "2")
        assert len(ordered(redis_client)) == 2
        stack.enter_context(Wire.to(relay_app.url)).send(request(OTHER_KEY))
        relay_app.eventually(lambda: len(ordered(redis_client)) == 3)
        shown = figures(relay_app.url)
        assert shown["callback_test"] == 3
        assert (shown["callback_tests_of_one_tenant"], shown["callback_tests"]) == (3, 0)
    relay_app.eventually(lambda: figures(relay_app.url)["callback_test"] == 0)
    with Wire.to(relay_app.url) as wire:
        wire.send(request())
        relay_app.eventually(lambda: len(ordered(redis_client)) == 4)


def test_a_process_has_sixteen_at_a_time(
    store: JobStore,
    service_settings: Settings,
    ports: Ports,
    eventually: Eventually,
    redis_client: Any,
) -> None:
    """However many tenants there are, one more is a 503."""
    del store  # it has emptied Redis
    keys = {sha256(key.encode()).hexdigest(): key for key in KEYS}
    with (
        served(service_settings.model_copy(update={"api_keys": keys}), ports, eventually) as app,
        ExitStack() as stack,
    ):
        for key in KEYS[:8] * 2:
            stack.enter_context(Wire.to(app.url)).send(request(key))
        eventually(lambda: len(ordered(redis_client)) == 16)

        assert problem(ask(app.url, request(KEYS[8]))) == (503, "busy", "16")
        assert figures(app.url)["callback_tests"] == 1


def test_an_outcome_is_looked_for_without_a_thread(
    store: JobStore,
    service_settings: Settings,
    ports: Ports,
    eventually: Eventually,
    redis_client: Any,
) -> None:
    """Every thread of the pool is taken: the outcome is found all the same."""
    del store  # it has emptied Redis
    with (
        served(service_settings, ports, eventually, without_threads) as app,
        ThreadPoolExecutor(1) as caller,
    ):
        answer = caller.submit(ask, app.url, request())
        eventually(lambda: len(ordered(redis_client)) == 1)
        (name,) = ordered(redis_client)
        came = {"outcome": "failed", "error": "ConnectError", "ms": "7"}
        redis_client.hset(f"callback-test:{name}", mapping=came)

        outcome = json.loads(answer.result().body)
    assert outcome == {
        "id": name, "delivered": False, "status": None, "milliseconds": 7, "error": "ConnectError",
    }  # fmt: skip


@pytest.mark.parametrize("leaves", ["stops sending", "stop"])
def test_who_waits_in_vain_is_answered(relay_app: Served, redis_client: Any, leaves: str) -> None:
    """A client that ends its side, and a process that stops, end the wait: 202 with the id."""
    with Wire.to(relay_app.url) as wire:
        wire.send(request())
        relay_app.eventually(lambda: len(ordered(redis_client)) == 1)
        if leaves == "stop":
            relay_app.stop()
        else:
            wire.socket.shutdown(1)
        answer = wire.answer()
    assert (answer.status, json.loads(answer.body)) == (202, {"id": ordered(redis_client)[0]})
