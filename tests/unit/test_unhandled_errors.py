"""A mistake of ours is a 500 in the called API's format, and its traceback is logged."""

import asyncio
import logging
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from core.settings.settings import Settings
from service.app import create_app

KEY = {"x-key": "api-key-of-a-test-0001"}
WORDS = "a mistake of a test"


class Broken:
    """Crashes whatever is asked of it."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(WORDS)


async def _ask(settings: Settings, method: str, path: str) -> httpx.Response:
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state:
        broken = dict.fromkeys(("bodies", "store", "async_store", "accounts"), Broken())

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": {**(state or {}), **broken}}, receive, send)

        # What gets out of the application would end the connection, and fails the test.
        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(transport=transport, base_url="http://relay") as client:
            return await client.request(method, path, headers=KEY)


@pytest.mark.parametrize(
    ("method", "path", "is_theirs"),
    [
        ("POST", "/v1/jobs", False),
        ("GET", "/v1/jobs/some-job", False),
        ("GET", "/readyz", False),
        ("POST", "/v1/flux-pro-1.1", True),
        ("GET", "/v1/get_result?id=some-job", True),
        ("GET", "/v1/credits", True),
    ],
)
def test_an_unhandled_error_is_reported_in_the_format_of_its_api(
    settings: Settings, caplog: pytest.LogCaptureFixture, method: str, path: str, is_theirs: bool
) -> None:
    """The caller sees no trace; the log has one line with it, and the path without its query."""
    with caplog.at_level(logging.ERROR):
        answer = asyncio.run(_ask(settings, method, path))

    assert answer.status_code == 500
    assert WORDS not in answer.text
    if is_theirs:
        assert list(answer.json()) == ["detail"]
    else:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:fluxrelay:problem:internal"
    (line,) = [record for record in caplog.records if record.message == "request.crashed"]
    assert vars(line)["fields"] == {"path": path.partition("?")[0], "kind": "RuntimeError"}
    assert line.exc_info is not None
    assert str(line.exc_info[1]) == WORDS
