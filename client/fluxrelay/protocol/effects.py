"""What a flow asks its runner for: the only places where anything is sent, awaited or written.

A flow is a generator that yields these and is sent their results. It holds all the logic; a runner,
of which there is one for threads and one for async code, holds all the I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fluxrelay.protocol.messages import Answer, Request

T = TypeVar("T")


@dataclass(frozen=True)
class Send:
    """Send a request; results in its answer, whose content is read unless `stream` is set.

    Raises `UnreachableError` where no complete answer came.
    """

    request: Request
    stream: bool = False


@dataclass(frozen=True)
class Read:
    """Read the next bytes of a streamed answer; results in none at its end."""

    answer: Answer


@dataclass(frozen=True)
class Close:
    """Close a streamed answer."""

    answer: Answer


@dataclass(frozen=True)
class Sleep:
    """Let some seconds pass."""

    seconds: float


@dataclass(frozen=True)
class Now:
    """Results in the seconds of a clock that only goes forward."""


@dataclass(frozen=True)
class Work:
    """Call a function that may block, such as one that writes a file; results in its result."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Emit:
    """Hand the next item of a stream to the caller."""

    item: Any


@dataclass(frozen=True)
class Stream(Generic[T]):
    """A flow that emits items of a type."""

    flow: Flow[None]


Effect = Send | Read | Close | Sleep | Now | Work | Emit
Flow = Generator[Effect, Any, T]


def send(request: Request, *, stream: bool = False) -> Flow[Answer]:
    """Send a request and return its answer."""
    answer: Answer = yield Send(request, stream)
    return answer


def read(answer: Answer) -> Flow[bytes]:
    """Return the next bytes of a streamed answer, none at its end."""
    chunk: bytes = yield Read(answer)
    return chunk


def now() -> Flow[float]:
    """Return the seconds of a clock that only goes forward."""
    seconds: float = yield Now()
    return seconds


def work(function: Callable[[], T]) -> Flow[T]:
    """Call a function that may block and return its result."""
    result: T = yield Work(function)
    return result
