"""Runs flows in the thread that calls."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import httpx

from fluxrelay.protocol.effects import Close, Emit, Flow, Now, Read, Send, Sleep, Work
from fluxrelay.protocol.messages import Answer
from fluxrelay.running.http import (
    ERRORS,
    Streamed,
    answer_of,
    built,
    of_environment,
    unreachable,
)
from fluxrelay.running.progress import Progress

T = TypeVar("T")


class Runner:
    """Runs flows, and sends with one httpx client, which threads may share.

    Args:
        client: the caller's own, which stays open; None: one of this runner, until `close`.
        timeout: seconds of silence after which a request is given up.
    """

    def __init__(self, client: httpx.Client | None, timeout: float) -> None:
        self._client = client or of_environment(httpx.Client)
        self._owns_client = client is None
        self._timeout = timeout

    def close(self) -> None:
        """End the connections."""
        if self._owns_client:
            self._client.close()

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and return its result."""
        progress = Progress(flow)
        for _ in self._items(progress):
            pass
        return progress.result

    def stream(self, flow: Flow[None]) -> Generator[Any, None, None]:
        """Run a flow and yield what it emits; its connections end with this."""
        yield from self._items(Progress(flow))

    def _items(self, progress: Progress[Any]) -> Generator[Any, None, None]:
        opened: set[Streamed] = set()
        try:
            while (effect := progress.effect) is not None:
                if isinstance(effect, Emit):
                    yield effect.item
                    progress.resume(None)
                    continue
                try:
                    result = self._perform(effect, opened)
                except Exception as error:  # noqa: BLE001 - the flow decides what becomes of it
                    progress.throw(error)
                else:
                    progress.resume(result)
        finally:
            progress.close()
            for streamed in opened:
                streamed.response.close()

    def _perform(
        self, effect: Send | Read | Close | Sleep | Now | Work, opened: set[Streamed]
    ) -> Any:
        match effect:
            case Send():
                return self._send(effect, opened)
            case Read(answer):
                return _read(answer.streamed)
            case Close(answer):
                opened.discard(answer.streamed)
                answer.streamed.response.close()
            case Sleep(seconds):
                time.sleep(seconds)
            case Now():
                return time.monotonic()
            case Work(function):
                return function()
        return None

    def _send(self, effect: Send, opened: set[Streamed]) -> Answer:
        body = effect.request.body
        content = None if body is None else body.in_memory or body.pieces()
        request = built(self._client, effect.request, content, self._timeout)
        try:
            response = self._client.send(request, stream=effect.stream, follow_redirects=False)
        except ERRORS as error:
            raise unreachable(error, effect.request) from error
        if not effect.stream:
            return answer_of(response)
        streamed = Streamed(effect.request, response, response.iter_bytes())
        opened.add(streamed)
        return answer_of(response, streamed)


def _read(streamed: Streamed) -> bytes:
    try:
        return next((piece for piece in streamed.pieces if piece), b"")
    except ERRORS as error:
        raise unreachable(error, streamed.request) from error
