"""The client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fluxrelay.operations.service import ServiceOperations
from fluxrelay.protocol.retry import RetryPolicy
from fluxrelay.protocol.session import Session
from fluxrelay.resources import AllOperations, Batches, Callbacks, DeadLetters, Jobs, Models
from fluxrelay.running.methods import Resource, blocking, streaming
from fluxrelay.running.runner import Runner

if TYPE_CHECKING:
    from types import TracebackType

    import httpx


class FluxRelay(Resource[ServiceOperations]):
    """A client of FluxRelay. Threads may share one; `with` or `close` ends its connections.

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
        http: httpx.Client | None = None,
    ) -> None:
        operations = AllOperations(Session.of(url, key, retries), callback_secret)
        runner = Runner(http, timeout)
        super().__init__(operations.service, runner)
        self.jobs = Jobs(operations.jobs, runner)
        self.batches = Batches(operations.batches, runner)
        self.callbacks = Callbacks(operations.callbacks, runner)
        self.dead_letters = DeadLetters(operations.dead_letters, runner)
        self.models = Models(operations.models, runner)

    events = streaming(ServiceOperations.events)
    request = blocking(ServiceOperations.request)

    def close(self) -> None:
        """End the client's connections."""
        self._runner.close()

    def __enter__(self) -> FluxRelay:  # noqa: PYI034 - Python 3.10 has no Self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
