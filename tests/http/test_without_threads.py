"""Requests that only ask Redis are answered although every thread is taken."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from anyio.to_thread import current_default_thread_limiter
from starlette.types import ASGIApp, Receive, Scope, Send

from core.redis.store import JobStore
from core.settings.settings import Settings
from stack.servers.ports import Ports
from tests.conftest import Eventually
from tests.contract.jobs import accept
from tests.http.raw_http import Answer, ask, head
from tests.http.served_app import KEY, Served, served
from tests.http.test_waiting import A, B, get


def without_threads(app: ASGIApp) -> ASGIApp:
    """Return an application whose pool of threads is exhausted."""

    async def taken(scope: Scope, receive: Receive, send: Send) -> None:
        threads = current_default_thread_limiter()
        if scope["type"] == "http" and threads.available_tokens:
            threads.total_tokens = 1
            threads.acquire_on_behalf_of_nowait(object())
        await app(scope, receive, send)

    return taken


@pytest.fixture
def relay_app(
    store: JobStore,
    service_settings: Settings,
    ports: Ports,
    eventually: Eventually,
    redis_client: Any,
) -> Iterator[Served]:
    """Run such a service, in which the jobs A and B are queued; no worker runs."""
    redis_client.set("pool:default:paused", "a test")
    accept(store, A, B)
    with served(service_settings, ports, eventually, without_threads) as running:
        yield running


def shown(answer: Answer) -> Any:
    """Return the job that was answered."""
    assert answer.status == 200
    return json.loads(answer.body)


def test_a_queued_job_shows_its_place(relay_app: Served) -> None:
    """Its place in line is asked of Redis without a thread of its own."""
    places = [shown(ask(relay_app.url, get(f"/v1/jobs/{job}")))["queue"] for job in (A, B)]
    assert [place["position"] for place in places] == [0, 1]


@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_a_job_is_canceled(relay_app: Served, method: str) -> None:
    """The job is read again without a thread, and shows its end."""
    path = f"/v1/jobs/{A}" + ("/cancel" if method == "POST" else "")
    canceled = shown(ask(relay_app.url, head(method, path, f"x-key: {KEY}")))
    assert canceled["status"] == "canceled"
    assert canceled["queue"] is None
    assert shown(ask(relay_app.url, get(f"/v1/jobs/{B}")))["queue"]["position"] == 0
