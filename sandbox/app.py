"""Builds the sandbox: the only place where its parts are created and connected."""

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
from sandbox.faults.injection import FaultInjection
from sandbox.generation.generation import Generator
from sandbox.requests.finetunes import Finetunes
from sandbox.server.access_log import AccessLog
from sandbox.server.connections import Connections
from sandbox.settings import Settings
from sandbox.tasks.accounts import Accounts, CreditBalances, account_of
from sandbox.tasks.drafts import Drafts
from sandbox.tasks.hosts import Hosts
from sandbox.tasks.ledger import Ledger
from sandbox.tasks.persistence import restore
from sandbox.tasks.results import FileCache, Signer, signing_key
from sandbox.tasks.tasks import TaskBook
from sandbox.webhooks.delivery import WebhookSender
from sandbox.webhooks.outgoing import HttpSender


def create_app(settings: Settings, connections: Connections) -> Starlette:
    """Return the application, with the tasks of earlier processes that are in the ledger.

    Raises:
        OSError: The ledger's file, or the key file beside it, cannot be opened.
    """
    book = TaskBook(settings.slots)
    history = restore(settings.ledger, book)
    ledger = Ledger(book, settings.ledger, time.time(), history.rejections)
    secret = signing_key(settings.signing_key, settings.ledger)
    drafts = Drafts(secret, book, signer := Signer(secret))
    hosts = Hosts(settings.public_url, settings.regions)
    faults = FaultInjection({"host": hosts.names, "region": tuple(settings.regions)})
    sender = HttpSender()
    webhooks = WebhookSender(settings, ledger, faults, sender)
    generator = Generator(
        settings=settings,
        book=book,
        ledger=ledger,
        file_cache=FileCache(),
        drafts=drafts,
        webhook_sender=webhooks,
        hosts=hosts,
        signer=signer,
    )
    accounts = Accounts(settings.api_keys)
    balances = CreditBalances(
        book, map(account_of, settings.api_keys), settings.credits, history.credits
    )
    finetunes = Finetunes(settings.finetunes)
    submits = Submits(
        settings, hosts, accounts, balances, finetunes, drafts, book, ledger, generator, faults,
        connections,
    )  # fmt: skip
    routes = [
        *ProviderApi(hosts, accounts, balances, finetunes, book, faults, submits).routes(),
        *Downloads(hosts, signer, book, ledger, generator, faults, connections).routes(),
        *AdminApi(book, ledger, faults, balances).routes(),
    ]
    return Starlette(
        routes=routes,
        lifespan=_lifespan(book, generator, (submits, generator, webhooks), sender, ledger),
        middleware=[Middleware(AccessLog)],
        exception_handlers={HTTPException: _http_error},
    )


def _lifespan(
    book: TaskBook,
    generator: Generator,
    parts: tuple[Submits | Generator | WebhookSender, ...],
    sender: HttpSender,
    ledger: Ledger,
) -> Lifespan[Starlette]:
    """Return the lifespan handler: resume old tasks at the start, close everything at the end."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        for task in book.active():
            generator.start(task)
        yield
        for part in parts:
            await part.close()
        sender.close()
        ledger.close()

    return lifespan


async def _http_error(_: Request, error: Exception) -> Response:
    """Answer an unknown path or method as FastAPI does."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return refusal(status)
