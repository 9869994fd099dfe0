"""Group commit: durable writes share one round trip and one fsync.

There is no timer and no extra thread. If no batch is in flight, a call is sent at once. Otherwise
it joins the next batch, which one of its callers (the leader) sends for all. A single caller
therefore never waits, and concurrent callers pay for one fsync. A batch that Redis has answered but
not yet fsynced does not hold up the next batch.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from core.errors import StoreUnavailable

#: Limits of one batch: calls, and bytes of their arguments. Redis is blocked while it executes a
#: batch (about 0.2 ms per call). A single call may exceed the byte limit.
BATCH_CALLS: Final = 128
BATCH_BYTES: Final = 1_048_576


class Call(NamedTuple):
    """A script and its JSON argument."""

    script: str
    argument: str


class Send(Protocol):
    """Sends a batch."""

    def __call__(self, calls: Sequence[Call], answered: Callable[[], None], /) -> Sequence[Any]:
        """Return one reply, or one `StoreUnavailable`, per call, in order.

        It must return in bounded time, and call `answered` once only the fsync is still awaited.

        Raises:
            StoreUnavailable: The whole batch failed.
        """


@dataclass(eq=False, slots=True)
class _PendingCall:
    """A call and the thread that waits for its reply."""

    call: Call
    #: Set when the thread must act: take a reply, or send a batch.
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    settled: bool = False
    outcome: Any = None


class GroupCommit:
    """Collects calls of many threads into batches.

    Args:
        send: Sends a batch.
        timeout: Seconds after which a waiting call gives up, even if its leader died.
    """

    def __init__(self, send: Send, *, timeout: float) -> None:
        self._send = send
        self._timeout = timeout
        self._lock = threading.Lock()
        self._queue: deque[_PendingCall] = deque()
        self._in_flight = False

    @property
    def waiting(self) -> int:
        """Number of calls that wait for the next batch."""
        return len(self._queue)

    def run(self, call: Call) -> Any:
        """Send a call as part of the next batch; return its own reply.

        Raises:
            StoreUnavailable: The call failed, or its outcome is unknown.
        """
        mine = _PendingCall(call)
        with self._lock:
            self._queue.append(mine)
            mine.leads = not self._in_flight
            self._in_flight = True
        try:
            self._wait(mine)
        finally:
            self._leave(mine)
        if isinstance(mine.outcome, StoreUnavailable):
            # One exception per caller: the same batch error is raised in many threads.
            raise StoreUnavailable(str(mine.outcome)) from mine.outcome
        return mine.outcome

    def _wait(self, mine: _PendingCall) -> None:
        deadline = time.monotonic() + self._timeout
        while not mine.settled:
            if mine.leads:
                self._lead(mine)
            elif not mine.woken.wait(deadline - time.monotonic()):
                mine.outcome = StoreUnavailable("Redis: the write was not confirmed in time")
                return

    def _lead(self, mine: _PendingCall) -> None:
        """Send the collected calls; the leader's own call comes first."""
        batch = self._take()
        error = StoreUnavailable("Redis: the write was broken off")
        outcomes: Sequence[Any] = [error] * len(batch)
        try:
            outcomes = self._send([each.call for each in batch], partial(self._hand_over, mine))
        except StoreUnavailable as unavailable:
            outcomes = [unavailable] * len(batch)
        finally:
            # Also after an unexpected error: no caller may be left waiting.
            self._hand_over(mine)
            for each, outcome in zip(batch, outcomes, strict=True):
                each.outcome = outcome
                each.settled = True
                each.woken.set()

    def _take(self) -> list[_PendingCall]:
        batch: list[_PendingCall] = []
        size = 0
        with self._lock:
            while self._queue and len(batch) < BATCH_CALLS:
                size += len(self._queue[0].call.argument)
                if batch and size > BATCH_BYTES:
                    break
                batch.append(self._queue.popleft())
        return batch

    def _hand_over(self, mine: _PendingCall) -> None:
        """Make the first waiting call the leader of the next batch, if `mine` still leads."""
        with self._lock:
            if not mine.leads:
                return
            mine.leads = False
            self._in_flight = bool(self._queue)
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].woken.set()

    def _leave(self, mine: _PendingCall) -> None:
        """Clean up after a wait that ended early: drop the call, pass on the lead."""
        if mine.settled:
            return
        with self._lock:
            if mine in self._queue:
                self._queue.remove(mine)
        self._hand_over(mine)
