"""What the bucket's server does not keep is said: by the collect worker, and by `/readyz`."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import redis

from core.redis.store import JobStore
from core.settings.settings import SERVICE, Settings
from core.storage.bucket_capabilities import CAPABILITIES_KEY
from core.storage.object_store import ObjectStore
from service.app import create_app
from stack.stack import Stack
from tests.conftest import Eventually
from tests.fake_s3 import Capabilities, FakeS3, Refusal
from worker.runtime.bucket_watch import note_habits, watch_in_background


def _readyz(environment: Mapping[str, str]) -> Any:
    app = create_app(Settings.from_env(environment, SERVICE))

    async def ask() -> Any:
        async with app.router.lifespan_context(app) as state:

            async def with_state(scope: Any, receive: Any, send: Any) -> None:
                scope["state"] = dict(state or {})
                await app(scope, receive, send)

            transport = httpx.ASGITransport(with_state)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return (await client.get("/readyz")).json()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("habits", "words"),
    [
        (Capabilities(), "ok"),
        (Capabilities(ignores_condition=True), "overwrites despite If-None-Match"),
        (Capabilities(lacks_condition=True), "rejects If-None-Match"),
        (
            Capabilities(refuses=frozenset({"x-amz-checksum-sha256"})),
            "rejects x-amz-checksum-sha256",
        ),
        (Capabilities(checks_nothing=True), "does not check x-amz-checksum-sha256"),
        (Capabilities(refusal=Refusal(403, "AccessDenied", "Access Denied")), "AccessDenied"),
    ],
)
def test_what_a_server_does_not_keep_is_shown(
    *,
    s3: FakeS3,
    untried: ObjectStore,
    store: JobStore,
    environment: Mapping[str, str],
    habits: Capabilities,
    words: str,
) -> None:
    """`/readyz` has it in words, as the collect worker found it."""
    s3.capabilities = habits

    note_habits(untried, store)

    assert words in _readyz(environment)["bucket"]


def test_before_a_worker_has_tried_nothing_is_said(
    redis_client: "redis.Redis", environment: Mapping[str, str]
) -> None:
    """That all is well is not known."""
    assert redis_client.get(CAPABILITIES_KEY) is None
    answer = _readyz(environment)
    assert (answer["bucket"], answer["bucket_age_seconds"]) == ("not tried yet", None)


@pytest.mark.parametrize("age", [0, 600, 3000])
def test_it_is_shown_how_old_the_word_is(
    *,
    s3: FakeS3,
    untried: ObjectStore,
    store: JobStore,
    redis_client: "redis.Redis",
    environment: Mapping[str, str],
    age: int,
) -> None:
    """`/readyz` says when the server was tried last, so that a worker that died is noticed."""
    assert s3.url
    note_habits(untried, store)
    # As if so much of the hour for which it counts had passed.
    redis_client.expire(CAPABILITIES_KEY, redis_client.ttl(CAPABILITIES_KEY) - age)

    answer = _readyz(environment)

    assert answer["bucket"] == "ok"
    assert age <= answer["bucket_age_seconds"] <= 3600


def test_a_server_is_tried_before_it_gets_an_image(
    s3: FakeS3, untried: ObjectStore, store: JobStore, eventually: Eventually
) -> None:
    """The worker's thread does it at once; whoever comes sooner does it itself."""
    stop = threading.Event()
    thread = watch_in_background(untried, store, stop)
    eventually(lambda: store.read("get", CAPABILITIES_KEY) is not None)

    assert {key.partition("/")[0] for key in s3.puts} == {"_probe"}
    stop.set()
    thread.join(10)


def test_the_real_worker_says_so(relay: Stack, eventually: Eventually) -> None:
    """A whole deployment's `/readyz` shows what its collect worker found in its bucket."""

    def bucket() -> object:
        return httpx.get(f"{relay.service_url}/readyz", trust_env=False).json()["bucket"]

    eventually(lambda: bucket() == "ok")
