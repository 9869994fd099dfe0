"""Runs a flow of the client by hand: its answers are scripted, its clock is set, nothing waits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fluxrelay.protocol.effects import Close, Effect, Emit, Flow, Now, Read, Send, Sleep
from fluxrelay.protocol.messages import Answer, Request
from fluxrelay.protocol.retry import RetryPolicy
from fluxrelay.protocol.session import Session

T = TypeVar("T")
Reply = Answer | Exception | Callable[["World"], Answer]


def session(**policy: Any) -> Session:
    """Return a session whose waits are whole, for chance always says 0."""
    return Session("http://relay.example", "a-key", RetryPolicy(random=lambda: 0.0, **policy))


@dataclass
class World:
    """What a flow finds: replies in turn, pieces of streams, and a clock that its waits move."""

    replies: Iterator[Reply]
    pieces: Iterator[bytes | Exception] = field(default_factory=lambda: iter(()))
    clock: float = 1000.0
    sent: list[Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    emitted: list[Any] = field(default_factory=list)

    def run(self, flow: Flow[T]) -> T:
        """Run a flow to its end and return its result."""
        try:
            effect = next(flow)
            while True:
                try:
                    result = self._perform(effect)
                except Exception as error:  # noqa: BLE001 - the flow decides what becomes of it
                    effect = flow.throw(error)
                else:
                    effect = flow.send(result)
        except StopIteration as end:
            value: T = end.value
            return value

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Send(request):
                self.sent.append(request)
                return self._said(next(self.replies))
            case Read():
                return self._said(next(self.pieces, b""))
            case Sleep(seconds):
                self.slept.append(seconds)
                self.clock += seconds
            case Now():
                return self.clock
            case Emit(item):
                self.emitted.append(item)
            case Close():
                pass
            case _:
                return effect.function()
        return None

    def _said(self, reply: Any) -> Any:
        if isinstance(reply, Exception):
            raise reply
        return reply(self) if callable(reply) else reply
