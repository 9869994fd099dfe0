"""Waiting for an end: the service waits, and this survives whatever comes in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fluxrelay.errors import ProblemError, UnreachableError, WaitTimeoutError
from fluxrelay.protocol.effects import Flow, Sleep, now
from fluxrelay.protocol.messages import Request
from fluxrelay.protocol.retry import RetryPolicy, may_repeat
from fluxrelay.types.batches import Batch
from fluxrelay.types.jobs import Job

T = TypeVar("T", bound=Job | Batch)

#: The longest time for which the service holds an answer back, in seconds.
LONGEST_WAIT = 60.0
#: For so many seconds a service may be away before a wait, or a stream, is given up.
LONGEST_OUTAGE = 300.0
#: Seconds between two looks where the service did not wait as it was asked to.
_PAUSE = 1.0
#: Looking can always be repeated.
_LOOK = Request("GET", "")


class Outage:
    """Tells how long to wait until the next attempt, while the service is away."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._failures = 0
        self._since = 0.0

    def over(self) -> None:
        """Note that the service answered."""
        self._failures = 0

    def failed(self, error: Exception, at: float) -> float:
        """Return the seconds until the next attempt; raise the error if it has been too long.

        Raises:
            UnreachableError: The service has been out of reach for `LONGEST_OUTAGE`.
            ProblemError: It has been unavailable for as long, or it refuses the request.
        """
        if not self._failures:
            self._since = at
        self._failures += 1
        if not may_repeat(_LOOK, error) or at - self._since > LONGEST_OUTAGE:
            raise error
        after = error.retry_after if isinstance(error, ProblemError) else None
        longest = self._policy.longest_retry_after
        return max(self._policy.backoff(self._failures), min(after or 0.0, longest))


def wait_for(look: Callable[[int], Flow[T]], policy: RetryPolicy, timeout: float | None) -> Flow[T]:
    """Return a job or batch once it has ended.

    Args:
        look: makes the flow that asks once, and has the service wait for so many whole seconds.
        policy: how to go on after the service could not be reached.
        timeout: seconds; None waits for as long as it takes.

    Raises:
        WaitTimeoutError: It has not ended in time.
        UnreachableError: The service has been out of reach for five minutes, or until the end of
            the time without having answered at all.
    """
    begun = yield from now()
    last: T | None = None
    outage = Outage(policy)
    while True:
        asked_at = yield from now()
        left = LONGEST_WAIT if timeout is None else timeout - (asked_at - begun)
        asked = int(max(0.0, min(LONGEST_WAIT, left)))
        try:
            last = yield from look(asked)
        except (UnreachableError, ProblemError) as error:
            at = yield from now()
            if timeout is not None and at - begun >= timeout and last is None:
                raise
            pause = outage.failed(error, at)
        else:
            if last.ended:
                return last
            outage.over()
            at = yield from now()
            pause = 0.0 if asked and at - asked_at >= asked / 2 else _PAUSE
        if timeout is not None:
            if at - begun >= timeout and last is not None:
                raise WaitTimeoutError(last, timeout)
            pause = max(0.0, min(pause, timeout - (at - begun)))
        yield Sleep(pause)
