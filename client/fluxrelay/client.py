"""The client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from fluxrelay.operations.batches import BatchOperations
from fluxrelay.operations.callbacks import CallbackOperations, DeadLetterOperations
from fluxrelay.operations.jobs import JobOperations
from fluxrelay.operations.service import ModelOperations, ServiceOperations
from fluxrelay.protocol.retry import RetryPolicy
from fluxrelay.protocol.session import Session
from fluxrelay.resources import Batches, Callbacks, DeadLetters, Jobs, Models
from fluxrelay.running.methods import Resource, blocking, streaming
from fluxrelay.running.runner import Runner

if TYPE_CHECKING:
    from types import TracebackType


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
        session = Session.of(url, key, retries)
        self._http = http or httpx.Client()
        self._owns_http = http is None
        runner = Runner(self._http, timeout)
        super().__init__(ServiceOperations(session), runner)
        self.jobs = Jobs(JobOperations(session), runner)
        self.batches = Batches(BatchOperations(session), runner)
        self.callbacks = Callbacks(CallbackOperations(session, callback_secret), runner)
        self.dead_letters = DeadLetters(DeadLetterOperations(session), runner)
        self.models = Models(ModelOperations(session), runner)

    events = streaming(ServiceOperations.events)
    request = blocking(ServiceOperations.request)

    def close(self) -> None:
        """End the client's connections."""
        if self._owns_http:
            self._http.close()

    def __enter__(self) -> FluxRelay:  # noqa: PYI034 - Python 3.10 has no Self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
