"""Bodies are read within limits of size, time and number; whatever happens, no file is left."""

import asyncio
import base64
import contextlib
import json
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from service.body import request_body as module
from service.body.json_scanner import LONG, BodyScanner, FileField
from service.body.request_body import BodyReader
from service.http import places
from service.http.problems import Problem

IMAGE = os.urandom(200_000)
LARGE = json.dumps({"input": {"image": base64.b64encode(IMAGE).decode()}}).encode()
SMALL = b'{"input": {"image": "aGk="}}'
LIMIT = 4 * 1024 * 1024
Messages = AsyncIterator[dict[str, Any]]


def request(messages: Messages, **headers: str) -> Request[Any]:
    """Return a request whose body comes as these messages."""

    async def receive() -> dict[str, Any]:
        return await anext(messages)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


async def comes(body: bytes, *, size: int = 50_000, ends: bool = True) -> Messages:
    """Bring a body piece by piece; where it does not end, the caller goes."""
    for at in range(0, len(body), size):
        more = not ends or at + size < len(body)
        yield {"type": "http.request", "body": body[at : at + size], "more_body": more}
    if not ends:
        yield {"type": "http.disconnect"}


def reader(at_a_time: int = 2) -> BodyReader:
    """Return a reader."""
    files = {"image": FileField(LIMIT)}
    return BodyReader(limit=LIMIT, at_a_time=at_a_time, each=max(at_a_time // 2, 1), files=files)


async def read(
    to_read: Request[Any], bodies: BodyReader | None = None, tenant: str = "demo"
) -> tuple[int, list[bytes]]:
    """Return a body's size without its images, and its images."""
    async with (bodies or reader()).read(to_read, tenant) as body:
        return len(body.skeleton), [inline.file.read() for inline in body.files.values()]


async def refused(to_read: Request[Any], bodies: BodyReader | None = None) -> Problem:
    """Return the problem of a body."""
    with pytest.raises(Problem) as caught:
        await read(to_read, bodies)
    return caught.value


def temporary_files() -> list[str]:
    """Return the files without a name that this process holds open (Linux)."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the folder's own is closed by now
            found.append(str(link.readlink()))
    place = tempfile.gettempdir()
    return [name for name in found if name.startswith(place) and name.endswith("(deleted)")]


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that leaves a file, be it open or by name."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = temporary_files()
    yield
    assert temporary_files() == before
    assert list(tmp_path.iterdir()) == []


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test's coroutine."""

    async def main() -> None:
        await test()

    asyncio.run(main())


def test_a_small_body_needs_no_place() -> None:
    """It is read at once into memory, even while no place is free and no file can be opened."""

    async def test() -> None:
        bodies = reader(0)
        assert await read(request(comes(SMALL, size=1)), bodies) == (len(SMALL), [])
        exact = SMALL.ljust(LONG)
        assert await read(request(comes(exact)), bodies) == (LONG, [])

    run(test)


@pytest.mark.parametrize("size", [1000, 65_536, 10_000_000])
def test_a_large_body(size: int) -> None:
    """Its image is in a file, while the body is in use and no longer."""

    async def test() -> None:
        async with reader().read(request(comes(LARGE, size=size)), "demo") as body:
            assert len(temporary_files()) == 1
            (image,) = body.files.values()
            assert image.file.read() == IMAGE
            assert len(body.skeleton) < 100

    run(test)


def test_an_error_while_a_body_is_in_use() -> None:
    """It comes through, and the place is free again."""

    async def test() -> None:
        bodies = reader(1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                async with bodies.read(request(comes(LARGE)), "demo"):
                    raise ZeroDivisionError
        assert (await read(request(comes(LARGE)), bodies))[1] == [IMAGE]

    run(test)


@pytest.mark.parametrize("length", [10, 70_000, 250_000])
def test_a_caller_who_goes(length: int) -> None:
    """What was kept of the body goes, and so does the hold on the place."""

    async def test() -> None:
        bodies = reader(1)
        for _ in range(2):
            with pytest.raises(ClientDisconnect):
                await read(request(comes(LARGE[:length], ends=False)), bodies)
        assert (await read(request(comes(LARGE)), bodies))[1] == [IMAGE]

    run(test)


def test_limits_of_size() -> None:
    """A stated length, a body as it comes, and what is no image: each has its limit."""

    async def test() -> None:
        stated = await refused(request(comes(SMALL), content_length=str(LIMIT + 1)))
        assert (stated.status, stated.headers["connection"]) == (413, "close")
        assert str(LIMIT) in stated.detail
        streamed = await refused(request(comes(LARGE * 20)))
        assert (streamed.status, streamed.kind) == (413, "body-too-large")
        text = json.dumps({"input": {"prompt": "x" * 1024 * 1024}}).encode()
        prompt = await refused(request(comes(text)))
        assert prompt.status == 413
        assert "besides its images and videos is larger than 1048576 bytes" in prompt.detail

    run(test)


def test_more_bodies_than_places_wait_and_are_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait for a while, get a place that becomes free, and are told when to come again."""
    monkeypatch.setattr(places, "_LONGEST_WAIT", 0.05)

    async def test() -> None:
        bodies = reader(1)
        async with bodies.read(request(comes(LARGE)), "demo"):
            busy = await refused(request(comes(LARGE)), bodies)
            assert (busy.status, busy.kind, busy.headers["retry-after"]) == (503, "busy", "5")
            assert busy.headers["connection"] == "close"
            assert await read(request(comes(SMALL)), bodies) == (len(SMALL), [])
            monkeypatch.setattr(places, "_LONGEST_WAIT", 20)
            waiting = asyncio.ensure_future(read(request(comes(LARGE)), bodies))
            await asyncio.sleep(0)
            assert not waiting.done()
        assert (await waiting)[1] == [IMAGE]

    run(test)


def test_one_tenant_gets_half_of_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has its share is sent away while there are places for others, and only then."""
    monkeypatch.setattr(places, "_LONGEST_WAIT", 0.05)

    async def test() -> None:
        bodies = reader(4)
        async with (
            bodies.read(request(comes(LARGE)), "demo"),
            bodies.read(request(comes(LARGE)), "demo"),
        ):
            busy = await refused(request(comes(LARGE)), bodies)
            assert "4 at a time, of one caller 2" in busy.detail
            assert (await read(request(comes(LARGE)), bodies, "other"))[1] == [IMAGE]
            async with (
                bodies.read(request(comes(LARGE)), "other"),
                bodies.read(request(comes(LARGE)), "another"),
            ):
                with pytest.raises(Problem, match="Too many bodies"):
                    await read(request(comes(LARGE)), bodies, "fourth")
            assert (await read(request(comes(LARGE)), bodies, "fourth"))[1] == [IMAGE]
        assert (await read(request(comes(LARGE)), bodies))[1] == [IMAGE]

    run(test)


@pytest.mark.parametrize(
    ("count", "tenants", "share"), [(8, 1, 8), (8, 2, 4), (8, 9, 4), (3, 2, 2), (1, 2, 1)]
)
def test_a_tenant_s_share_of_the_places(count: int, tenants: int, share: int) -> None:
    """It is half of them, rounded up; the only tenant has all."""
    assert places.fair_share(count, tenants) == share


def test_a_body_that_comes_too_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not hold its place for hours."""
    monkeypatch.setattr(module, "_SLOWEST_BATCH", 0.05)

    async def stalls() -> Messages:
        yield {"type": "http.request", "body": LARGE[:100_000], "more_body": True}
        await asyncio.Event().wait()

    async def test() -> None:
        slow = await refused(request(stalls()))
        assert (slow.status, slow.kind) == (408, "too-slow")

    run(test)


def test_a_request_that_is_cancelled() -> None:
    """Where the server stops in the middle, nothing is left either."""
    started = asyncio.Event()

    async def stalls() -> Messages:
        yield {"type": "http.request", "body": LARGE[:260_000], "more_body": True}
        started.set()
        await asyncio.Event().wait()

    async def test() -> None:
        task = asyncio.ensure_future(read(request(stalls())))
        await started.wait()
        assert len(temporary_files()) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(test)


def test_a_place_for_files_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file cannot be opened or written, the caller is asked to come again."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "away"))

    async def test() -> None:
        problem = await refused(request(comes(LARGE)))
        assert (problem.status, problem.kind) == (503, "no-room")
        assert problem.headers["retry-after"] == "5"
        assert "No such file or directory" in problem.detail

    run(test)


def test_files_are_written_by_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """What opens, writes and closes them, which can block, never happens on the event loop."""
    loops = threading.get_ident()
    seen: set[tuple[str, bool]] = set()
    for name in ("feed", "close"):
        whole = getattr(BodyScanner, name)

        def noted(self: BodyScanner, *pieces: bytes, name: str = name, whole: Any = whole) -> Any:
            seen.add((name, threading.get_ident() == loops))
            return whole(self, *pieces)

        monkeypatch.setattr(BodyScanner, name, noted)

    async def test() -> None:
        assert (await read(request(comes(LARGE))))[1] == [IMAGE]

    run(test)
    assert seen == {("feed", False), ("close", False)}
