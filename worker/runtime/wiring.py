"""Builds the dependencies of steps, once per process, and holds them for RQ's tasks."""

import random
import ssl
import time

from core.operations.account_status import AccountRegistry
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import Settings
from core.storage.object_store import ObjectStore
from worker.clients import bulkhead
from worker.clients.callbacks import CallbackClient
from worker.clients.download import Downloader
from worker.clients.provider import ProviderClient
from worker.clients.receiver_breakers import ReceiverBreakers
from worker.deps import Deps

_deps: Deps | None = None


def build(settings: Settings) -> Deps:
    """Return new clients for all outside systems; they are thread-safe."""
    connections = settings.worker_concurrency
    ssl_context = ssl.create_default_context()
    store = JobStore(connect(settings), settings)
    rng = random.Random()  # noqa: S311 - jitter, not a secret
    return Deps(
        settings=settings,
        store=store,
        accounts=AccountRegistry(store, settings.accounts),
        objects=ObjectStore(
            settings.s3_bucket, timeout=settings.storage_timeout_seconds, connections=connections
        ),
        providers=_providers(settings, ssl_context),
        downloader=Downloader(
            settings.result_hosts,
            timeout=settings.download_timeout_seconds,
            connections=connections,
            ssl_context=ssl_context,
            proxy=settings.proxy,
        ),
        callbacks=CallbackClient(
            allowed=settings.callback_allow_nets,
            timeout=settings.callback_timeout_seconds,
            connections=bulkhead.threads(connections),
            ssl_context=ssl_context,
            proxy=settings.callback_proxy,
        ),
        bulkhead=bulkhead.Bulkhead(concurrency=connections, clock=time.monotonic, rng=rng),
        receivers=ReceiverBreakers(
            attempt_seconds=settings.callback_timeout_seconds, clock=time.monotonic, rng=rng
        ),
        video_places=bulkhead.VideoPlaces(connections),
        clock=time.time,
        rng=rng,
    )


def _providers(settings: Settings, ssl_context: ssl.SSLContext) -> dict[str, ProviderClient]:
    return {
        account.name: ProviderClient(
            account.url,
            settings.account_keys[account.name],
            timeout=settings.provider_timeout_seconds,
            # Sending and the answer must both end before the doubt does.
            send_timeout=settings.submit_in_doubt_seconds - 2 * settings.provider_timeout_seconds,
            lifetime=settings.result_lifetime_seconds,
            connections=settings.worker_concurrency,
            poll_urls=account.poll_urls,
            longest_pause=settings.max_retry_after_seconds,
            ssl_context=ssl_context,
            proxy=settings.proxy,
        )
        for account in settings.accounts
    }


def install(built: Deps) -> None:
    """Make `built` the dependencies of this process's tasks."""
    global _deps  # noqa: PLW0603 - RQ calls tasks by name, without arguments of ours
    _deps = built


def deps() -> Deps:
    """Return the installed dependencies.

    Raises:
        RuntimeError: None are installed; tasks run in `python -m worker` only.
    """
    if _deps is None:
        raise RuntimeError("tasks run inside `python -m worker`, which installs what they need")
    return _deps
