"""Which bodies are one and the same job, and what is said of it once it is accepted."""

import asyncio
import base64
import io
import json
import random
from functools import partial

import httpx
import pytest
from PIL import Image
from starlette.types import Receive, Scope, Send

from core.jobs.job import JobId
from core.provider.catalogue import Kind, Model, Parameter
from core.redis.async_scripts import AsyncScripts
from core.redis.async_store import AsyncJobStore
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_store import ObjectStore
from service.app import create_app
from service.drop_in.request_body import parse_flat
from service.intake.intake import Accepted, Intake
from service.intake.storage_threads import ThreadPool
from tests.model_inputs import picture
from tests.unit.scanner_cases import TEXT, scan

JOB_ID = JobId("0198c5a0-0000-7000-8000-000000000001")
KEY = {"x-key": "api-key-of-a-test-0001"}


async def answers(settings: Settings, *requests: tuple[str, str]) -> list[httpx.Response]:
    """Send requests (method and path) to the application, with an empty object as their body."""
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://relay", headers=KEY
        ) as client:
            return [await client.request(method, path, json={}) for method, path in requests]


@pytest.mark.parametrize(("path", "status"), [("/v1/jobs", 202), ("/v1/flux-pro-1.1", 200)])
def test_the_store_goes_away_after_the_promise(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    """An accepted job whose record is gone is answered with its id, not with a 503."""
    accepted = Accepted(JOB_ID, fresh=True, job=None)

    async def accept(*_: object) -> Accepted:  # there is no Redis
        return accepted

    monkeypatch.setattr(Intake, "check", lambda *_: None)
    monkeypatch.setattr(Intake, "accept", accept)
    requests = [("POST", path), ("GET", f"/v1/jobs/{JOB_ID}")]
    posted, shown = asyncio.run(answers(settings, *requests))

    assert (posted.status_code, posted.json()["id"]) == (status, JOB_ID)
    assert shown.status_code == 503


def test_a_record_that_cannot_be_read_is_no_error(settings: Settings) -> None:
    """A job that was sent again is on disk: where its record cannot be shown, its id is."""
    store = JobStore(connect(settings), settings)  # there is no Redis
    async_store = AsyncJobStore(store, AsyncScripts(store.scripts, settings))
    intake = Intake(settings, store, async_store, ObjectStore("pictures"), ThreadPool(1))

    assert intake.record(JOB_ID) is None


def test_long_images_that_a_model_ignores(settings: Settings) -> None:
    """The same body is the same job, whatever stands in its fields that count for nothing."""
    store = JobStore(connect(settings), settings)  # connects at its first command only
    async_store = AsyncJobStore(store, AsyncScripts(store.scripts, settings))
    intake = Intake(settings, store, async_store, ObjectStore("pictures"), ThreadPool(1))
    fingerprints: list[str] = []
    model = settings.models["flux-pro-1.1"]
    parse = partial(parse_flat, model=model, origin="http://relay")
    other = TEXT[4:]
    assert "mask" not in model.parameters

    for text in (TEXT, TEXT, other):
        body = scan([json.dumps({"prompt": "p", "mask": text}).encode()], parents=())
        assert len(body.files) == 1
        checked = intake.check("demo", body, "a key", parse)
        assert checked.idempotency
        fingerprints.append(checked.idempotency.fingerprint)

    first, second, third = fingerprints
    assert first == second
    assert third != first


def test_files_within_arrays_count_by_their_bytes(settings: Settings) -> None:
    """However a list's images are written, they are the same job; their order and bytes count."""
    store = JobStore(connect(settings), settings)  # connects at its first command only
    async_store = AsyncJobStore(store, AsyncScripts(store.scripts, settings))
    model = Model(
        name="flux-9",
        source="a test",
        parameters={"images": Parameter(kind=Kind.IMAGES, most=4)},
    )
    own = settings.model_copy(update={"models": {"flux-9": model}})
    intake = Intake(own, store, async_store, ObjectStore("pictures"), ThreadPool(1))
    long, short, url = large_picture(), picture(), "https://h/a.png"

    def fingerprint(*images: str) -> str:
        body = {"model": "flux-9", "input": {"images": list(images)}}
        checked = intake.check("demo", scan([json.dumps(body).encode()]), "a key")
        assert checked.idempotency
        assert len(checked.job.files) == len(images) - images.count(url)
        return checked.idempotency.fingerprint

    first = fingerprint(long, url, short)
    wrapped = "\n".join(long[at : at + 76] for at in range(0, len(long), 76))

    assert fingerprint(f"data:image/png;base64,{wrapped}", url, f"\n{short}") == first
    others = [(short, url, long), (long, url), (long, short, url), (long, url, long)]
    assert len({first, *(fingerprint(*other) for other in others)}) == 5


def large_picture() -> str:
    """Return a PNG that is long as base64: noise, which nothing can compress."""
    file = io.BytesIO()
    noise = random.Random(5).randbytes(150 * 150 * 3)  # noqa: S311 - noise, not a secret
    Image.frombytes("RGB", (150, 150), noise).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
