"""Group commit for an event loop: durable writes share a round trip and an fsync.

Does what `core.redis.group_commit` does, with futures instead of threads. Calls made in one turn of
the loop are sent together at its end; while Redis executes a batch, the next one collects. A batch
that Redis has answered but not yet fsynced does not hold up the next batch.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from core.errors import StoreUnavailable
from core.redis.group_commit import BATCH_BYTES, BATCH_CALLS, Call

#: Most batches that wait for an fsync at a time, each on its own connection.
BATCHES: Final = 16


class Send(Protocol):
    """Sends a batch."""

    def __call__(
        self, calls: Sequence[Call], answered: Callable[[], None], /
    ) -> Coroutine[Any, Any, Sequence[Any]]:
        """Return a coroutine for one reply, or one `StoreUnavailable`, per call, in order.

        It may send before it returns. It calls `answered` once only the fsync is still awaited.

        Raises:
            StoreUnavailable: The whole batch failed.
        """


@dataclass(eq=False, slots=True)
class _PendingCall:
    """A call and the future of its reply; a caller that left has cancelled the future."""

    call: Call
    future: "asyncio.Future[Any]"
    #: Loop time after which the call must not be sent any more.
    give_up_at: float


class AsyncGroupCommit:
    """Collects calls of many requests into batches.

    Args:
        send: Sends a batch.
        timeout: Seconds after which a batch counts as lost, and after which an unsent call is
            dropped.
    """

    def __init__(self, send: Send, *, timeout: float) -> None:
        self._send = send
        self._timeout = timeout
        self._queue: deque[_PendingCall] = deque()
        self._sending: set[asyncio.Task[None]] = set()
        self._in_flight = False

    @property
    def waiting(self) -> int:
        """Number of calls that wait for the next batch."""
        return len(self._queue)

    async def run(self, call: Call) -> Any:
        """Send a call as part of the next batch; return its own reply.

        Raises:
            StoreUnavailable: The call failed, or its outcome is unknown.
        """
        loop = asyncio.get_running_loop()
        mine = _PendingCall(call, loop.create_future(), loop.time() + self._timeout)
        self._queue.append(mine)
        if not self._in_flight:
            self._in_flight = True
            loop.call_soon(self._launch)  # after every call made in this turn
        outcome = await mine.future
        if isinstance(outcome, StoreUnavailable):
            # One exception per caller: the same batch error is raised in many requests.
            raise StoreUnavailable(str(outcome)) from outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _launch(self) -> None:
        """Send the collected calls, unless too many batches wait for an fsync."""
        batch = self._take() if len(self._sending) < BATCHES else []
        self._in_flight = bool(batch)
        if batch:
            turn = [True]
            try:
                sent = self._send([each.call for each in batch], partial(self._hand_over, turn))
            except Exception as mistake:  # noqa: BLE001 - raised where the batch is awaited
                sent = _failed(mistake)
            task = asyncio.get_running_loop().create_task(self._lead(batch, sent, turn))
            self._sending.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._sending.discard(task)
        if not self._in_flight:
            self._launch()

    async def _lead(
        self, batch: list[_PendingCall], sent: Coroutine[Any, Any, Sequence[Any]], turn: list[bool]
    ) -> None:
        error = StoreUnavailable("Redis: the write was broken off")
        outcomes: Sequence[Any] = [error] * len(batch)
        try:
            async with asyncio.timeout(self._timeout):
                outcomes = await sent
        except StoreUnavailable as unavailable:
            outcomes = [unavailable] * len(batch)
        except TimeoutError:
            late = StoreUnavailable("Redis: the write was not confirmed in time")
            outcomes = [late] * len(batch)
        except Exception as mistake:  # noqa: BLE001 - raised in the batch's first caller
            outcomes = [mistake, *outcomes[1:]]
        finally:
            # Also when the loop is shut down: no caller may be left waiting.
            self._hand_over(turn)
            for each, outcome in zip(batch, outcomes, strict=True):
                _resolve(each, outcome)

    def _take(self) -> list[_PendingCall]:
        batch: list[_PendingCall] = []
        size = 0
        now = asyncio.get_running_loop().time()
        while self._queue and len(batch) < BATCH_CALLS:
            first = self._queue[0]
            if first.give_up_at < now:
                _resolve(first, StoreUnavailable("Redis: the write was not confirmed in time"))
            if not first.future.done():  # otherwise its caller left, and the call must not be sent
                size += len(first.call.argument)
                if batch and size > BATCH_BYTES:
                    break
                batch.append(first)
            self._queue.popleft()
        return batch

    def _hand_over(self, turn: list[bool]) -> None:
        """Start the next batch, the first time that a batch asks for it."""
        if turn:
            turn.clear()
            self._launch()


async def _failed(mistake: Exception) -> Sequence[Any]:
    raise mistake


def _resolve(waiting: _PendingCall, outcome: Any) -> None:
    if not waiting.future.done():
        waiting.future.set_result(outcome)
