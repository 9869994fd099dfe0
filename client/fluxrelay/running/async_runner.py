"""Runs flows in async code, of asyncio or trio."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, TypeVar

import anyio  # what httpx itself stands on
import anyio.to_thread
import httpx

from fluxrelay.protocol.body import Body
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


class AsyncRunner:
    """Runs flows, and sends with one httpx client, which tasks may share.

    Args:
        client: the caller's own, which stays open; None: one of this runner, until `aclose`.
        timeout: seconds of silence after which a request is given up.
    """

    def __init__(self, client: httpx.AsyncClient | None, timeout: float) -> None:
        self._client = client or of_environment(httpx.AsyncClient)
        self._owns_client = client is None
        self._timeout = timeout

    async def aclose(self) -> None:
        """End the connections."""
        if self._owns_client:
            await self._client.aclose()

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and return its result."""
        progress = Progress(flow)
        async with aclosing(self._items(progress)) as items:
            async for _ in items:
                pass
        return progress.result

    async def stream(self, flow: Flow[None]) -> AsyncGenerator[Any, None]:
        """Run a flow and yield what it emits; its connections end with this."""
        async with aclosing(self._items(Progress(flow))) as items:
            async for item in items:
                yield item

    async def _items(self, progress: Progress[Any]) -> AsyncGenerator[Any, None]:
        opened: set[Streamed] = set()
        try:
            while (effect := progress.effect) is not None:
                if isinstance(effect, Emit):
                    yield effect.item
                    progress.resume(None)
                    continue
                try:
                    result = await self._perform(effect, opened)
                except Exception as error:  # noqa: BLE001 - the flow decides what becomes of it
                    progress.throw(error)
                else:
                    progress.resume(result)
        finally:
            progress.close()
            with anyio.CancelScope(shield=True):
                for streamed in opened:
                    await streamed.response.aclose()

    async def _perform(
        self, effect: Send | Read | Close | Sleep | Now | Work, opened: set[Streamed]
    ) -> Any:
        match effect:
            case Send():
                return await self._send(effect, opened)
            case Read(answer):
                return await _read(answer.streamed)
            case Close(answer):
                opened.discard(answer.streamed)
                await answer.streamed.response.aclose()
            case Sleep(seconds):
                await anyio.sleep(seconds)
            case Now():
                return anyio.current_time()
            case Work(function):
                return await anyio.to_thread.run_sync(function)
        return None

    async def _send(self, effect: Send, opened: set[Streamed]) -> Answer:
        body = effect.request.body
        content = None if body is None else body.in_memory or _pieces(body)
        request = built(self._client, effect.request, content, self._timeout)
        try:
            response = await self._client.send(
                request, stream=effect.stream, follow_redirects=False
            )
        except ERRORS as error:
            raise unreachable(error, effect.request) from error
        if not effect.stream:
            return answer_of(response)
        streamed = Streamed(effect.request, response, response.aiter_bytes())
        opened.add(streamed)
        return answer_of(response, streamed)


async def _read(streamed: Streamed) -> bytes:
    try:
        async for piece in streamed.pieces:
            if piece:
                return bytes(piece)
    except ERRORS as error:
        raise unreachable(error, streamed.request) from error
    return b""


async def _pieces(body: Body) -> AsyncIterator[bytes]:
    """Yield a body, whose files are read in a thread."""
    pieces = body.pieces()
    while (piece := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
        yield piece
