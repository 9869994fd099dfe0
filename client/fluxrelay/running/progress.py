"""How far a flow has come; the same for threads and for async code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from fluxrelay.protocol.effects import Effect, Flow

T = TypeVar("T")


class Progress(Generic[T]):
    """A flow that has begun.

    Attributes:
        effect: what the flow asks for, None once it has ended.
    """

    def __init__(self, flow: Flow[T]) -> None:
        self._flow = flow
        self._result: T | None = None
        self.effect: Effect | None = None
        self.resume(None)

    @property
    def result(self) -> T:
        """Return the result of a flow that has ended."""
        return self._result  # type: ignore[return-value]  # set at the end, to None perhaps

    def resume(self, value: Any) -> None:
        """Give the flow what it asked for."""
        self._advance(lambda: self._flow.send(value))

    def throw(self, error: Exception) -> None:
        """Tell the flow that what it asked for failed; raises what it does not handle."""
        self._advance(lambda: self._flow.throw(error))

    def close(self) -> None:
        """End the flow, wherever it stands."""
        self._flow.close()

    def _advance(self, step: Callable[[], Effect]) -> None:
        try:
            self.effect = step()
        except StopIteration as end:
            self.effect, self._result = None, end.value
