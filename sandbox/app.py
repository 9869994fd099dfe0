"""Builds the sandbox: the only place where its parts are made and joined."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from sandbox.access_log import AccessLog
from sandbox.admin import AdminApi
from sandbox.answers import refusal
from sandbox.connections import Connections
from sandbox.downloads import Downloads
from sandbox.generation import Studio
from sandbox.ledger import Ledger
from sandbox.mischief import Mischief
from sandbox.provider import ProviderApi
from sandbox.results import Shelf
from sandbox.settings import Settings
from sandbox.tasks import TaskBook
from sandbox.webhooks import ANSWER_SECONDS, Courier

#: Webhooks sent at once; more than the slots of any test.
WEBHOOK_CONNECTIONS = 200


def create_app(settings: Settings, connections: Connections) -> Starlette:
    """Return the application.

    Raises:
        OSError: If the ledger's file cannot be opened.
    """
    book = TaskBook(settings.slots)
    ledger = Ledger(book, settings.ledger, time.time())
    mischief = Mischief()
    # trust_env: a proxy of the environment must not see webhooks that go to loopback.
    client = httpx.AsyncClient(
        trust_env=False,
        timeout=ANSWER_SECONDS * max(1.0, settings.time_scale),
        limits=httpx.Limits(max_connections=WEBHOOK_CONNECTIONS),
        headers={"user-agent": "flux-sandbox"},
    )
    courier = Courier(settings, ledger, mischief, client)
    studio = Studio(settings, book, ledger, Shelf(), courier)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await studio.close()
        await courier.close()
        await client.aclose()
        ledger.close()

    routes = [
        *ProviderApi(settings, book, ledger, studio, mischief, connections).routes(),
        *Downloads(book, ledger, studio, mischief, connections).routes(),
        *AdminApi(book, ledger, mischief).routes(),
    ]
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(AccessLog)],
        exception_handlers={HTTPException: _http_error},
    )


async def _http_error(_: Request, error: Exception) -> Response:
    """Answer an unknown path or method as FastAPI does."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return refusal(status)
