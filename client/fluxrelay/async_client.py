"""The client for async code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from fluxrelay.operations.batches import BatchOperations
from fluxrelay.operations.callbacks import CallbackOperations, DeadLetterOperations
from fluxrelay.operations.jobs import JobOperations
from fluxrelay.operations.service import ModelOperations, ServiceOperations
from fluxrelay.protocol.retry import RetryPolicy
from fluxrelay.protocol.session import Session
from fluxrelay.resources import (
    AsyncBatches,
    AsyncCallbacks,
    AsyncDeadLetters,
    AsyncJobs,
    AsyncModels,
)
from fluxrelay.running.async_runner import AsyncRunner
from fluxrelay.running.methods import AsyncResource, async_streaming, awaited

if TYPE_CHECKING:
    from types import TracebackType


class AsyncFluxRelay(AsyncResource[ServiceOperations]):
    """A client of FluxRelay for asyncio and trio; `async with` or `aclose` ends its connections.

    Args:
        url: the service's address; by default that of the variable FLUXRELAY_URL.
        key: your API key; by default that of the variable FLUXRELAY_KEY.
        retries: how often, and when, requests are sent again.
        timeout: seconds of silence after which a request is given up.
        callback_secret: the secret of callbacks; without one it is fetched when it is needed.
        http: httpx's client to send with, for proxies or certificates of your own; it is yours to
            close.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        retries: RetryPolicy = RetryPolicy(),  # noqa: B008 - it is frozen
        timeout: float = 30.0,
        callback_secret: str | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        session = Session.of(url, key, retries)
        self._http = http or httpx.AsyncClient()
        self._owns_http = http is None
        runner = AsyncRunner(self._http, timeout)
        super().__init__(ServiceOperations(session), runner)
        self.jobs = AsyncJobs(JobOperations(session), runner)
        self.batches = AsyncBatches(BatchOperations(session), runner)
        self.callbacks = AsyncCallbacks(CallbackOperations(session, callback_secret), runner)
        self.dead_letters = AsyncDeadLetters(DeadLetterOperations(session), runner)
        self.models = AsyncModels(ModelOperations(session), runner)

    events = async_streaming(ServiceOperations.events)
    request = awaited(ServiceOperations.request)

    async def aclose(self) -> None:
        """End the client's connections."""
        if self._owns_http:
            await self._http.aclose()

    async def __aenter__(self) -> AsyncFluxRelay:  # noqa: PYI034 - Python 3.10 has no Self
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
