"""Links to a video and its bundle in our bucket: each opens one file, whole or in part."""

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from core.jobs.drop_in_views import task_view
from core.jobs.job import JobId, artifact_fields
from core.jobs.status import Status
from core.redis.change import Change
from core.redis.store import JobStore
from core.settings.settings import SERVICE, Settings
from service.app import create_app
from tests.contract.jobs import accept
from tests.fake_s3 import FakeS3, Stored
from tests.video_files import NOISE, video

JOB = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")
FILES = {
    "sample": (video(), "video/mp4"),
    "draft_cache": (NOISE[:9000], "application/octet-stream"),
}


@pytest.fixture
def links(
    environment: Mapping[str, str], s3: FakeS3, store: JobStore
) -> tuple[Settings, dict[str, str]]:
    """Return a service's settings, and what it says of a finished draft by role."""
    accept(store, JOB)
    artifacts: list[dict[str, Any]] = []
    for role, (body, content_type) in FILES.items():
        s3.objects[f"a.{role}"] = Stored(body)
        facts = {"sha256": sha256(body).hexdigest(), "bytes": len(body)}
        place = {"role": role, "bucket": s3.bucket, "key": f"a.{role}"}
        artifacts.append({**place, "content_type": content_type, **facts})
    assert store.move(JOB, Status.STORING)
    assert store.move(JOB, Status.SUCCEEDED, Change(set=artifact_fields(artifacts)))
    settings = Settings.from_env({**environment, "FLUXRELAY_S3_BUCKET": s3.bucket}, SERVICE)
    job = store.load(JOB)
    assert job is not None
    assert list(job.artifacts) == artifacts
    secret = settings.webhook_secrets[0].reveal()
    return settings, task_view(job, "http://relay", secret)["result"]


def _get(settings: Settings, url: str, **headers: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        app = create_app(settings)
        async with app.router.lifespan_context(app) as state:

            async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
                await app({**scope, "state": dict(state or {})}, receive, send)

            transport = httpx.ASGITransport(with_state)
            async with httpx.AsyncClient(transport=transport) as client:
                return await client.get(url, headers=headers)

    return asyncio.run(ask())


@pytest.mark.parametrize("role", FILES)
def test_each_link_opens_its_file(links: tuple[Settings, dict[str, str]], role: str) -> None:
    """Bytes, type, length and version are those of the file; it needs no key."""
    settings, result = links
    body, content_type = FILES[role]

    answer = _get(settings, result[role])

    assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)
    assert answer.headers["content-length"] == str(len(body))
    assert answer.headers["etag"] == f'"{sha256(body).hexdigest()}"'
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("role", FILES)
def test_a_player_may_ask_for_a_part(links: tuple[Settings, dict[str, str]], role: str) -> None:
    """One range is answered with its place in the whole."""
    settings, result = links
    size = len(FILES[role][0])

    answer = _get(settings, result[role], range="bytes=100-199")

    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes 100-199/{size}"
    assert answer.headers["content-length"] == "100"


def test_the_signature_of_one_file_opens_no_other(
    links: tuple[Settings, dict[str, str]],
) -> None:
    """A link to the video, with the bundle's name in it, is a forgery; another name is a 404."""
    settings, result = links
    sample, bundle = (result[role].split("?sig=") for role in FILES)

    assert _get(settings, f"{bundle[0]}?sig={sample[1]}").status_code == 403
    assert _get(settings, f"{sample[0]}?sig={bundle[1]}").status_code == 403
    for path, signature in (
        (sample[0].replace(".mp4", ".png"), sample[1]),
        (bundle[0].replace(".bin", ".mp4"), bundle[1]),
    ):
        assert _get(settings, f"{path}?sig={signature}").status_code == 404
