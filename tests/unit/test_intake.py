"""What is said of a job once it is accepted."""

import asyncio

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from core.job import JobId
from core.settings import Settings
from service.app import create_app
from service.intake import Intake

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
    """An accepted job whose record cannot be read is answered with its id, not with a 503."""
    monkeypatch.setattr(Intake, "accept", lambda *_: (JOB_ID, True))  # there is no Redis

    requests = [("POST", path), ("GET", f"/v1/jobs/{JOB_ID}")]
    posted, shown = asyncio.run(answers(settings, *requests))

    assert (posted.status_code, posted.json()["id"]) == (status, JOB_ID)
    assert shown.status_code == 503
