"""Builds the sandbox: the only place where its parts are made and joined."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Lifespan

from sandbox.api.admin_routes import AdminApi
from sandbox.api.answers import refusal
from sandbox.api.downloads import Downloads
from sandbox.api.provider_routes import ProviderApi
from sandbox.api.submits import Submits
from sandbox.faults.injection import Mischief
from sandbox.generation.generation import Studio
from sandbox.requests.finetunes import Finetunes
from sandbox.server.access_log import AccessLog
from sandbox.server.connections import Connections
from sandbox.settings import Settings
from sandbox.tasks.accounts import Accounts, Purse, account_of
from sandbox.tasks.hosts import Hosts
from sandbox.tasks.ledger import Ledger
from sandbox.tasks.persistence import read_back
from sandbox.tasks.results import Shelf, Signer, signing_key
from sandbox.tasks.tasks import TaskBook
from sandbox.webhooks.delivery import Courier
from sandbox.webhooks.outgoing import Poster


def create_app(settings: Settings, connections: Connections) -> Starlette:
    """Return the application, with the tasks of earlier processes as far as the ledger has them.

    Raises:
        OSError: If the ledger's file or the key beside it cannot be opened.
    """
    book = TaskBook(settings.slots)
    past = read_back(settings.ledger, book)
    ledger = Ledger(book, settings.ledger, time.time(), past.rejections)
    signer = Signer(signing_key(settings.signing_key, settings.ledger))
    hosts = Hosts(settings.public_url, settings.regions)
    mischief = Mischief({"host": hosts.names, "region": tuple(settings.regions)})
    poster = Poster()
    courier = Courier(settings, ledger, mischief, poster)
    studio = Studio(
        settings=settings,
        book=book,
        ledger=ledger,
        shelf=Shelf(),
        courier=courier,
        hosts=hosts,
        signer=signer,
    )
    accounts = Accounts(settings.api_keys)
    purse = Purse(book, map(account_of, settings.api_keys), settings.credits, past.credits)
    finetunes = Finetunes(settings.finetunes)
    submits = Submits(
        settings, hosts, accounts, purse, finetunes, book, ledger, studio, mischief, connections
    )

    routes = [
        *ProviderApi(hosts, accounts, purse, finetunes, book, mischief, submits).routes(),
        *Downloads(hosts, signer, book, ledger, studio, mischief, connections).routes(),
        *AdminApi(book, ledger, mischief, purse).routes(),
    ]
    return Starlette(
        routes=routes,
        lifespan=_lifespan(book, studio, (submits, studio, courier), poster, ledger),
        middleware=[Middleware(AccessLog)],
        exception_handlers={HTTPException: _http_error},
    )


def _lifespan(
    book: TaskBook,
    studio: Studio,
    parts: tuple[Submits | Studio | Courier, ...],
    poster: Poster,
    ledger: Ledger,
) -> Lifespan[Starlette]:
    """Return what happens around the serving: old tasks go on, and at the end all is closed."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        for task in book.active():
            studio.start(task)
        yield
        for part in parts:
            await part.close()
        poster.close()
        ledger.close()

    return lifespan


async def _http_error(_: Request, error: Exception) -> Response:
    """Answer an unknown path or method as FastAPI does."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return refusal(status)
