"""The client for async code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fluxrelay.operations.service import ServiceOperations
from fluxrelay.protocol.retry import RetryPolicy
from fluxrelay.protocol.session import Session
from fluxrelay.resources import (
    AllOperations,
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

    import httpx


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
        operations = AllOperations(Session.of(url, key, retries), callback_secret)
        runner = AsyncRunner(http, timeout)
        super().__init__(operations.service, runner)
        self.jobs = AsyncJobs(operations.jobs, runner)
        self.batches = AsyncBatches(operations.batches, runner)
        self.callbacks = AsyncCallbacks(operations.callbacks, runner)
        self.dead_letters = AsyncDeadLetters(operations.dead_letters, runner)
        self.models = AsyncModels(operations.models, runner)

    events = async_streaming(ServiceOperations.events)
    request = awaited(ServiceOperations.request)

    async def aclose(self) -> None:
        """End the client's connections."""
        await self._runner.aclose()

    async def __aenter__(self) -> AsyncFluxRelay:  # noqa: PYI034 - Python 3.10 has no Self
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
