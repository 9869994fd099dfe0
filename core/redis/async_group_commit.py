"""Group commit for an event loop: what must reach the disk shares a round trip and an fsync.

What `core.redis.group_commit` is to threads, without any thread: whoever comes waits for a future.
Calls that come in one turn of the loop go together at its end; while Redis works on a batch the
next one gathers. A batch that Redis has answered, but not yet put on disk, holds up nobody.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from core.errors import StoreUnavailable
from core.redis.group_commit import BATCH_BYTES, BATCH_CALLS, Call

#: Most batches that wait for the disk at a time, each on a connection of its own.
BATCHES: Final = 16


class Send(Protocol):
    """Sends a batch."""

    def __call__(
        self, calls: Sequence[Call], answered: Callable[[], None], /
    ) -> Coroutine[Any, Any, Sequence[Any]]:
        """Return what awaits one answer, or one `StoreUnavailable`, for each call, in their order.

        It may send before it returns. It calls `answered` when only the disk is still awaited.

        Raises:
            StoreUnavailable: It holds for the whole batch.
        """


@dataclass(eq=False, slots=True)
class _Waiting:
    """A call, and who waits for its answer; whoever left has cancelled the future."""

    call: Call
    future: "asyncio.Future[Any]"
    #: Until when it may still be sent, by the loop's clock.
    give_up_at: float


class LoopCommit:
    """Gathers calls of many requests into batches.

    Args:
        send: Sends a batch.
        patience: Seconds after which a batch counts as lost, and after which a call that still
            waits to be sent is given up.
    """

    def __init__(self, send: Send, *, patience: float) -> None:
        self._send = send
        self._patience = patience
        self._queue: deque[_Waiting] = deque()
        self._sending: set[asyncio.Task[None]] = set()
        self._under_way = False

    @property
    def waiting(self) -> int:
        """How many calls gather for the next batch."""
        return len(self._queue)

    async def run(self, call: Call) -> Any:
        """Send one call with whatever else has gathered; return its own answer.

        Raises:
            StoreUnavailable: It failed, or whether it went well is not known.
        """
        loop = asyncio.get_running_loop()
        mine = _Waiting(call, loop.create_future(), loop.time() + self._patience)
        self._queue.append(mine)
        if not self._under_way:
            self._under_way = True
            loop.call_soon(self._launch)  # behind all that comes in this turn
        outcome = await mine.future
        if isinstance(outcome, StoreUnavailable):
            # A new one for each caller: a batch's error is raised in many requests.
            raise StoreUnavailable(str(outcome)) from outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _launch(self) -> None:
        """Send what has gathered, unless too many batches wait for the disk."""
        batch = self._take() if len(self._sending) < BATCHES else []
        self._under_way = bool(batch)
        if batch:
            turn = [True]
            try:
                sent = self._send([each.call for each in batch], partial(self._hand_over, turn))
            except Exception as mistake:  # noqa: BLE001 - it is raised where the batch is awaited
                sent = _failed(mistake)
            task = asyncio.get_running_loop().create_task(self._lead(batch, sent, turn))
            self._sending.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._sending.discard(task)
        if not self._under_way:
            self._launch()

    async def _lead(
        self, batch: list[_Waiting], sent: Coroutine[Any, Any, Sequence[Any]], turn: list[bool]
    ) -> None:
        error = StoreUnavailable("Redis: the write was broken off")
        outcomes: Sequence[Any] = [error] * len(batch)
        try:
            async with asyncio.timeout(self._patience):
                outcomes = await sent
        except StoreUnavailable as unavailable:
            outcomes = [unavailable] * len(batch)
        except TimeoutError:
            late = StoreUnavailable("Redis: the write was not confirmed in time")
            outcomes = [late] * len(batch)
        except Exception as mistake:  # noqa: BLE001 - the first of them meets it, as if it had sent alone
            outcomes = [mistake, *outcomes[1:]]
        finally:
            # Also when the loop ends: nobody may be left waiting.
            self._hand_over(turn)
            for each, outcome in zip(batch, outcomes, strict=True):
                _settle(each, outcome)

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        now = asyncio.get_running_loop().time()
        while self._queue and len(batch) < BATCH_CALLS:
            first = self._queue[0]
            if first.give_up_at < now:
                _settle(first, StoreUnavailable("Redis: the write was not confirmed in time"))
            if not first.future.done():  # else its caller left, and it must not be sent any more
                size += len(first.call.argument)
                if batch and size > BATCH_BYTES:
                    break
                batch.append(first)
            self._queue.popleft()
        return batch

    def _hand_over(self, turn: list[bool]) -> None:
        """Let the next batch go, the first time that a batch says so."""
        if turn:
            turn.clear()
            self._launch()


async def _failed(mistake: Exception) -> Sequence[Any]:
    raise mistake


def _settle(waiting: _Waiting, outcome: Any) -> None:
    if not waiting.future.done():
        waiting.future.set_result(outcome)
