"""Lets one test speak for both clients: the async one is called as if it were the other."""

import inspect
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast

from anyio.from_thread import BlockingPortal

from fluxrelay import AsyncFluxRelay, FluxRelay

_END = object()


class _Blocking:
    """Wraps an object whose coroutines and async iterators run in a portal's event loop."""

    def __init__(self, target: object, portal: BlockingPortal) -> None:
        self._target = target
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        return _Blocking(found, self._portal)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result: Any = cast("Any", self._target)(*args, **kwargs)
        if inspect.isasyncgen(result):
            return self._items(cast("AsyncGenerator[Any, None]", result))
        return self._portal.call(lambda: result) if inspect.isawaitable(result) else result

    def _items(self, items: AsyncGenerator[Any, None]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(items, _END)

        try:
            while (item := self._portal.call(following)) is not _END:
                yield item
        finally:
            self._portal.call(items.aclose)


def blocking(client: AsyncFluxRelay, portal: BlockingPortal) -> FluxRelay:
    """Return an async client whose methods block."""
    return cast("FluxRelay", _Blocking(client, portal))
