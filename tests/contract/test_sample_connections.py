"""Images that are being sent hold so many connections to S3, however slow their clients are."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest
import redis
from starlette.types import Message, Receive, Scope, Send

from core.jobs.job import JobId
from core.redis.store import JobStore
from core.security.signatures import sample_signature
from core.settings.settings import SERVICE, Settings
from core.storage.object_store import ObjectStore, StoredObject
from service.app import SAMPLE_PLACES, create_app
from service.http import places
from service.http.places import fair_share
from tests.contract.jobs import accept
from tests.fake_s3 import FakeS3, Refusal, Stored

JOB = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")
KEY = "2026-11-21/image.png"
DATA = bytes(range(256)) * 1000
#: Of the two tenants that share the places, only one asks.
PLACES = fair_share(SAMPLE_PLACES, 2)


@dataclass
class Reader:
    """A client that follows a link and reads when it is let."""

    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    leaves: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""

    async def receive(self) -> Message:
        """Say nothing, until it leaves."""
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take the head of the answer at once, and the rest of it later."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
            self.begun.set()
        else:
            await self.goes_on.wait()
            self.body += message.get("body", b"")


@pytest.fixture
def service(
    environment: dict[str, str],
    s3: FakeS3,
    store: JobStore,
    redis_client: "redis.Redis",
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """Return the settings of a service whose bucket holds a job's image."""
    monkeypatch.setattr(places, "_LONGEST_WAIT", 0.2)
    accept(store, JOB)
    facts = {"sha256": sha256(DATA).hexdigest(), "content_type": "image/png", "bytes": len(DATA)}
    image = json.dumps({"bucket": s3.bucket, "key": KEY, **facts})
    redis_client.hset(f"job:{JOB}", mapping={"status": "succeeded", "image": image})
    s3.objects[KEY] = Stored(DATA)
    return Settings.from_env(environment | {"FLUXRELAY_S3_BUCKET": s3.bucket}, SERVICE)


@dataclass(frozen=True)
class Desk:
    """A service in the test's own loop."""

    app: Any
    scope: Scope

    async def follow(self, reader: Reader) -> None:
        """Have a client follow the link."""
        receive: Receive = reader.receive
        send: Send = reader.send
        await self.app(dict(self.scope), receive, send)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Desk]:
    """Run the application without a server."""
    app = create_app(settings)
    signature = sample_signature(settings.webhook_secrets[0].reveal(), JOB)
    async with app.router.lifespan_context(app) as state:
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/v1/samples/{JOB}.png",
            "query_string": f"sig={signature}".encode(),
            "headers": [(b"host", b"relay")],
            "state": dict(state or {}),
        }
        async with asyncio.timeout(60):
            yield Desk(app, scope)


async def _crowd(settings: Settings, *, leave: bool) -> tuple[Reader, list[Reader], Reader]:
    """Return one who came while all places were taken, those who had them, and one who came later.

    Args:
        settings: The service's.
        leave: Whether those who have the places leave, instead of reading on.
    """
    crowd, late, last = [Reader() for _ in range(PLACES)], Reader(), Reader()
    async with opened(settings) as desk:
        running = [asyncio.create_task(desk.follow(reader)) for reader in crowd]
        for reader in crowd:
            await reader.begun.wait()
        late.goes_on.set()
        await desk.follow(late)
        for reader in crowd:
            (reader.leaves if leave else reader.goes_on).set()
        await asyncio.gather(*running)
        last.goes_on.set()
        await desk.follow(last)
    return late, crowd, last


@pytest.mark.parametrize("leave", [False, True])
def test_who_finds_no_place_comes_again(service: Settings, s3: FakeS3, *, leave: bool) -> None:
    """503 with `Retry-After`, and S3 was not asked; once others are done, or left, it is served."""
    late, crowd, last = asyncio.run(_crowd(service, leave=leave))

    assert (late.status, list(json.loads(late.body))) == (503, ["detail"])
    assert int(late.headers[b"retry-after"]) > 0
    assert leave or all(reader.body == DATA for reader in crowd)
    assert (last.status, last.body) == (200, DATA)
    assert s3.requests.count(("GET", KEY)) == PLACES + 1


async def _fail_often(settings: Settings) -> Reader:
    async with opened(settings) as desk:
        for _ in range(SAMPLE_PLACES + 1):
            reader = Reader()
            reader.goes_on.set()
            await desk.follow(reader)
        return reader


def test_an_image_that_cannot_be_opened_keeps_no_place(service: Settings, s3: FakeS3) -> None:
    """However often S3 says no, the next one finds a place."""
    s3.capabilities.get_refusal = Refusal(403, "InvalidObjectState")

    last = asyncio.run(_fail_often(service))

    assert last.status == 409


class Breaking(ObjectStore):
    """A bucket that breaks an image off behind its first piece."""

    def __init__(self) -> None:
        self.pieces = [b"x" * 1000]

    def head(self, key: str) -> StoredObject | None:
        """Say that the image is there."""
        return StoredObject(size=len(DATA), sha256="", metadata={}) if key == KEY else None

    def open(self, key: str, first: int, last: int) -> "Breaking":  # type: ignore[override]  # less is asked of it
        """Return the image, in part."""
        assert (key, first, last) == (KEY, 0, len(DATA) - 1)
        return self

    def read(self, _size: int) -> bytes:
        """Return the next piece."""
        return self.pieces.pop() if self.pieces else b""

    def close(self) -> None:
        """Have nothing to close."""


async def _break_off(settings: Settings) -> Reader:
    reader = Reader()
    reader.goes_on.set()
    async with opened(settings) as desk:
        desk.scope["state"]["objects"] = Breaking()
        await desk.follow(reader)
    return reader


def test_an_image_that_s3_breaks_off_is_no_mistake_of_ours(
    service: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """The log tells of S3, without a traceback; the client sees that something is missing."""
    reader = asyncio.run(_break_off(service))

    assert (reader.status, len(reader.body)) == (200, 1000)
    assert "request.broken_off" in caplog.messages
    assert "request.crashed" not in caplog.messages
