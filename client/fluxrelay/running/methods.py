"""Makes methods of operations, with their signatures and docstrings: each is written once.

`Jobs.create` and `AsyncJobs.create` are both made of `JobOperations.create`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from fluxrelay.protocol.effects import Emit, Flow, Stream
from fluxrelay.running.async_runner import AsyncRunner
from fluxrelay.running.runner import Runner
from fluxrelay.types.reference import Page

Ops = TypeVar("Ops")
Ops_co = TypeVar("Ops_co", covariant=True)
P = ParamSpec("P")
T = TypeVar("T")

_ALL_PAGES = "Yield the items of all pages, which are fetched as they are needed. Takes what"


class Resource(Generic[Ops_co]):
    """Methods on one kind of thing, for threads."""

    def __init__(self, operations: Ops_co, runner: Runner) -> None:
        self._operations = operations
        self._runner = runner


class AsyncResource(Generic[Ops_co]):
    """Methods on one kind of thing, for async code."""

    def __init__(self, operations: Ops_co, runner: AsyncRunner) -> None:
        self._operations = operations
        self._runner = runner


def blocking(
    operation: Callable[Concatenate[Ops, P], Flow[T]],
) -> Callable[Concatenate[Resource[Ops], P], T]:
    """Return the method that runs an operation to its end."""

    @wraps(operation)
    def method(self: Resource[Ops], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._runner.run(operation(self._operations, *args, **kwargs))

    return method


def streaming(
    operation: Callable[Concatenate[Ops, P], Stream[T]],
) -> Callable[Concatenate[Resource[Ops], P], Generator[T, None, None]]:
    """Return the method that iterates over what an operation emits."""

    @wraps(operation)
    def method(
        self: Resource[Ops], /, *args: P.args, **kwargs: P.kwargs
    ) -> Generator[T, None, None]:
        return self._runner.stream(operation(self._operations, *args, **kwargs).flow)

    return method


def paging(
    operation: Callable[Concatenate[Ops, P], Flow[Page[T]]],
) -> Callable[Concatenate[Resource[Ops], P], Generator[T, None, None]]:
    """Return the method that iterates over all pages of a list."""

    @wraps(operation)
    def method(
        self: Resource[Ops], /, *args: P.args, **kwargs: P.kwargs
    ) -> Generator[T, None, None]:
        return self._runner.stream(_pages(operation, self._operations, *args, **kwargs))

    method.__doc__ = f"{_ALL_PAGES} `{operation.__name__}` takes."
    return method


def awaited(
    operation: Callable[Concatenate[Ops, P], Flow[T]],
) -> Callable[Concatenate[AsyncResource[Ops], P], Coroutine[Any, Any, T]]:
    """Return the coroutine method that runs an operation to its end."""

    @wraps(operation)
    async def method(self: AsyncResource[Ops], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._runner.run(operation(self._operations, *args, **kwargs))

    return method


def async_streaming(
    operation: Callable[Concatenate[Ops, P], Stream[T]],
) -> Callable[Concatenate[AsyncResource[Ops], P], AsyncGenerator[T, None]]:
    """Return the method that iterates asynchronously over what an operation emits."""

    @wraps(operation)
    def method(
        self: AsyncResource[Ops], /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[T, None]:
        return self._runner.stream(operation(self._operations, *args, **kwargs).flow)

    return method


def async_paging(
    operation: Callable[Concatenate[Ops, P], Flow[Page[T]]],
) -> Callable[Concatenate[AsyncResource[Ops], P], AsyncGenerator[T, None]]:
    """Return the method that iterates asynchronously over all pages of a list."""

    @wraps(operation)
    def method(
        self: AsyncResource[Ops], /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[T, None]:
        return self._runner.stream(_pages(operation, self._operations, *args, **kwargs))

    method.__doc__ = f"{_ALL_PAGES} `{operation.__name__}` takes."
    return method


def _pages(
    operation: Callable[Concatenate[Ops, P], Flow[Page[T]]],
    operations: Ops,
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> Flow[None]:
    while True:
        page = yield from operation(operations, *args, **kwargs)
        for item in page:
            yield Emit(item)
        if page.next_cursor is None:
            return
        kwargs["cursor"] = page.next_cursor
