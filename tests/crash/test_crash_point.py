"""What the kills at every line rest on: that lines which die the same death are told by sockets."""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import pytest
import redis

from core.redis.async_scripts import AsyncScripts
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_store import ObjectStore
from tests.crash.crash_point import NOWHERE, ROOT, USES, CrashPoint, SocketUses


@pytest.fixture
def uses(monkeypatch: pytest.MonkeyPatch) -> SocketUses:
    """Return a count of this process's uses of sockets, until the test ends."""
    for name in USES:
        monkeypatch.setattr(socket.socket, name, getattr(socket.socket, name))
    counted = SocketUses()
    counted.watch()
    return counted


def _ask_redis(settings: Settings) -> None:
    with redis.Redis.from_url(settings.redis_url.reveal()) as client:
        assert client.ping()


def _ask_redis_by_awaiting(settings: Settings) -> None:
    store = JobStore(redis.Redis.from_url(settings.redis_url.reveal()), settings)

    async def ask() -> None:
        scripts = AsyncScripts(store.scripts, settings)
        assert await scripts.read("TIME")
        await scripts.close()

    asyncio.run(ask())


def _ask_s3(settings: Settings) -> None:
    assert ObjectStore(settings.s3_bucket).head("nothing") is None


def _ask_by_http(_settings: Settings) -> None:
    endpoint = os.environ["AWS_ENDPOINT_URL_S3"]
    assert httpx.get(endpoint, trust_env=False, timeout=60).status_code


CLIENTS: Final[dict[str, Callable[[Settings], None]]] = {
    "redis": _ask_redis,
    "redis by awaiting": _ask_redis_by_awaiting,
    "s3": _ask_s3,
    "http": _ask_by_http,
}


@pytest.mark.parametrize("ask", CLIENTS.values(), ids=CLIENTS)
def test_every_client_of_ours_uses_sockets_that_are_counted(
    worker_settings: Settings, uses: SocketUses, ask: Callable[[Settings], None]
) -> None:
    """A connection, a request and an answer are three uses at least, each counted twice."""
    ask(worker_settings)

    assert uses.count >= 6


@contextmanager
def _report() -> Iterator[tuple[int, Callable[[], Any]]]:
    """Return where a crash point writes to, and a function that returns the next line of it."""
    readable, writable = os.pipe()
    with os.fdopen(readable) as told:
        yield writable, lambda: json.loads(told.readline())
        os.close(writable)


def test_lines_between_two_uses_of_a_socket_are_told_together() -> None:
    """A line counts once, where it was passed first; a use of a socket begins a new death."""
    sockets = SocketUses()
    with _report() as (report, told):
        point = CrashPoint(NOWHERE, report, uses=sockets)
        for number in (1, 2, 1):
            point.passes(f"{ROOT}/a.py", number)
        sockets.count += 1
        for number in (2, 3):
            point.passes(f"{ROOT}/a.py", number)
        sockets.count += 1
        for turn in (1, 2):
            point.passes(f"{ROOT}/b.py", 1, turn)
        point.tell_lines()

        assert told() == {"lines": [["a.py:1", "a.py:2"], ["a.py:3"], ["b.py:1#1", "b.py:1#2"]]}


def test_without_sockets_each_line_is_told_by_itself() -> None:
    """A process that is frozen goes on later, so each of its lines is tried."""
    with _report() as (report, told):
        point = CrashPoint(NOWHERE, report)
        for number in (1, 2, 1):
            point.passes(f"{ROOT}/a.py", number)
        point.tell_lines()

        assert told() == {"lines": [["a.py:1"], ["a.py:2"]]}
