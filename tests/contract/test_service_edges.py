"""The service between its stores: inputs that may be left behind, webhooks that cannot be read."""

import asyncio
import base64
import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import redis
from starlette.types import Receive, Scope, Send

from core.errors import StorageUnavailable
from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.redis.async_scripts import AsyncScripts
from core.redis.async_store import AsyncJobStore
from core.redis.change import Change
from core.redis.store import JobStore
from core.security.signatures import webhook_secret
from core.settings.settings import Settings
from core.storage.object_store import ObjectStore
from service.app import create_app
from service.body.json_scanner import ScannedBody
from service.http.problems import Problem
from service.intake.intake import Intake
from service.intake.storage_threads import ThreadPool
from tests.contract.jobs import accept

A = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")


class ManagedConnection(ObjectStore):
    """A bucket that is looked over as an input comes, and then says that it is away.

    Args:
        look: Called as an input comes.
        fails: Whether it is away.
    """

    def __init__(self, look: Callable[[], object], *, fails: bool) -> None:
        self._look = look
        self._fails = fails

    def put(self, key: str, body: io.IOBase, **_facts: object) -> None:  # type: ignore[override]  # less is asked of it
        """Take an input, or not."""
        self._look()
        if self._fails:
            raise StorageUnavailable(f"away: {key}, {body}")


def _body(picture: Callable[[str], bytes]) -> ScannedBody:
    image = base64.b64encode(picture("JPEG")).decode()
    fields = {"prompt": "p", "input_image": image}
    text = json.dumps({"model": "flux-kontext-pro", "input": fields})
    return ScannedBody(text.encode(), {}, ())


def _accept(settings: Settings, store: JobStore, objects: ObjectStore, body: ScannedBody) -> None:
    async def run() -> None:
        async_store = AsyncJobStore(store, AsyncScripts(store.scripts, settings))
        intake = Intake(settings, store, async_store, objects, ThreadPool(1))
        try:
            await intake.accept(intake.check("demo", body, None))
        finally:
            await async_store.scripts.close()

    asyncio.run(run())


def _guards(client: "redis.Redis") -> int:
    return sum(str(member).startswith("cleanup:") for member in client.zrange("due", 0, -1))


def test_inputs_are_guarded_before_they_are_stored(
    service_settings: Settings,
    store: JobStore,
    redis_client: "redis.Redis",
    picture: Callable[[str], bytes],
) -> None:
    """Whoever dies while storing them has seen to their deletion."""
    guarded: list[int] = []
    objects = ManagedConnection(lambda: guarded.append(_guards(redis_client)), fails=True)

    with pytest.raises(StorageUnavailable):
        _accept(service_settings, store, objects, _body(picture))

    assert guarded == [1]


def test_inputs_of_a_job_that_found_no_room_go_at_once(
    store_with: Callable[..., JobStore],
    service_settings: Settings,
    redis_client: "redis.Redis",
    picture: Callable[[str], bytes],
) -> None:
    """They do not wait for their guard: their clean-up is due now."""
    store = store_with(slots="1", max_backlog="1")
    accept(store, "1", "2")
    objects = ManagedConnection(lambda: None, fails=False)

    with pytest.raises(Problem, match="FLUXRELAY_MAX_BACKLOG"):
        _accept(service_settings, store, objects, _body(picture))

    members: Any = redis_client.zrange("due", 0, -1, withscores=True)
    (at,) = [score for member, score in members if member.startswith("cleanup:")]
    seconds, microseconds = redis_client.time()
    assert at <= seconds + microseconds / 1e6 + 1


async def _send(settings: Settings, path: str, body: bytes, secret: str) -> httpx.Response:
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(transport=transport, base_url="http://relay") as client:
            return await client.post(path, content=body, headers={"x-webhook-secret": secret})


def test_a_webhook_that_cannot_be_read_has_the_provider_asked(
    service_settings: Settings, store: JobStore, redis_client: "redis.Redis"
) -> None:
    """Something happened: the poll starts at once."""
    accept(store, A)
    assert store.move(A, Status.GENERATING, Change(due={Step.POLL: 9e9}))
    secret = webhook_secret(service_settings.webhook_secrets[0].reveal(), A)

    sent = asyncio.run(_send(service_settings, f"/webhooks/bfl/{A}", b"{", secret))

    assert sent.status_code == 400
    assert str(redis_client.lindex("rq:queue:submit", -1)).startswith(f"{A}-poll-")


def test_a_webhook_that_cannot_be_kept_is_refused(environment: dict[str, str]) -> None:
    """Redis is away: the provider is told to send it again."""
    away = environment | {"FLUXRELAY_REDIS_URL": "redis://127.0.0.1:1/0"}
    settings = Settings.from_env(away, "service")
    secret = webhook_secret(settings.webhook_secrets[0].reveal(), A)
    body = json.dumps({"id": "t", "status": "Ready", "result": {"sample": "https://x/i"}})

    sent = asyncio.run(_send(settings, f"/webhooks/bfl/{A}", body.encode(), secret))

    assert sent.status_code == 503
    assert sent.headers["retry-after"]
