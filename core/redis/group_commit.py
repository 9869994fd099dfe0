"""Group commit: calls that must reach the disk share one round trip and one fsync.

There is no timer and no thread of its own. Who comes while nothing is on its way sends its call
at once; the others gather meanwhile, and then the first of them sends for all. So nobody waits
when alone, and a crowd pays for the disk once. A batch that Redis has answered, but not yet put
on disk, holds up nobody: the next one goes out.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from core.errors import StoreUnavailable

#: Most calls, and most bytes of arguments, in one batch. Redis does nothing else while it works
#: through a batch, a fifth of a millisecond per call. One call may be longer than the bound.
BATCH_CALLS: Final = 128
BATCH_BYTES: Final = 1_048_576


class Call(NamedTuple):
    """A script and its JSON argument."""

    script: str
    argument: str


class Send(Protocol):
    """Sends a batch."""

    def __call__(self, calls: Sequence[Call], answered: Callable[[], None], /) -> Sequence[Any]:
        """Return one answer, or one `StoreUnavailable`, for each call, in their order.

        It must return in bounded time, and call `answered` when only the disk is still awaited.

        Raises:
            StoreUnavailable: It holds for the whole batch.
        """


@dataclass(eq=False, slots=True)
class _Waiting:
    """A call and the thread that waits for its answer."""

    call: Call
    #: Set when there is something to do: an answer to take, or a batch to send.
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    settled: bool = False
    outcome: Any = None


class GroupCommit:
    """Gathers calls of many threads into batches.

    Args:
        send: Sends a batch.
        patience: Seconds after which a waiting call gives up, whatever happened to the thread
            that was to send it.
    """

    def __init__(self, send: Send, *, patience: float) -> None:
        self._send = send
        self._patience = patience
        self._lock = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._under_way = False

    @property
    def waiting(self) -> int:
        """How many calls gather for the next batch."""
        return len(self._queue)

    def run(self, call: Call) -> Any:
        """Send one call with whatever else has gathered; return its own answer.

        Raises:
            StoreUnavailable: It failed, or whether it went well is not known.
        """
        mine = _Waiting(call)
        with self._lock:
            self._queue.append(mine)
            mine.leads = not self._under_way
            self._under_way = True
        try:
            self._wait(mine)
        finally:
            self._leave(mine)
        if isinstance(mine.outcome, StoreUnavailable):
            # A new one for each caller: a batch's error is raised in many threads.
            raise StoreUnavailable(str(mine.outcome)) from mine.outcome
        return mine.outcome

    def _wait(self, mine: _Waiting) -> None:
        deadline = time.monotonic() + self._patience
        while not mine.settled:
            if mine.leads:
                self._lead(mine)
            elif not mine.woken.wait(deadline - time.monotonic()):
                mine.outcome = StoreUnavailable("Redis: the write was not confirmed in time")
                return

    def _lead(self, mine: _Waiting) -> None:
        """Send what has gathered, which begins with the leader's own call."""
        batch = self._take()
        error = StoreUnavailable("Redis: the write was broken off")
        outcomes: Sequence[Any] = [error] * len(batch)
        try:
            outcomes = self._send([each.call for each in batch], partial(self._hand_over, mine))
        except StoreUnavailable as unavailable:
            outcomes = [unavailable] * len(batch)
        finally:
            # Also after an error that nobody foresaw: nobody may be left waiting.
            self._hand_over(mine)
            for each, outcome in zip(batch, outcomes, strict=True):
                each.outcome = outcome
                each.settled = True
                each.woken.set()

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        with self._lock:
            while self._queue and len(batch) < BATCH_CALLS:
                size += len(self._queue[0].call.argument)
                if batch and size > BATCH_BYTES:
                    break
                batch.append(self._queue.popleft())
        return batch

    def _hand_over(self, mine: _Waiting) -> None:
        """Have the first of those who wait send the next batch, if that is for `mine` to say."""
        with self._lock:
            if not mine.leads:
                return
            mine.leads = False
            self._under_way = bool(self._queue)
            if self._queue:
                self._queue[0].leads = True
                self._queue[0].woken.set()

    def _leave(self, mine: _Waiting) -> None:
        """Leave nothing behind when a wait ends early: no call, and no batch that nobody sends."""
        if mine.settled:
            return
        with self._lock:
            if mine in self._queue:
                self._queue.remove(mine)
        self._hand_over(mine)
