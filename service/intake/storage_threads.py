"""Threads of their own for what waits for S3, so that nothing else waits behind it.

While S3 is silent, each request that asks it holds a thread until the time limit. If webhooks,
reads and health checks shared those threads, an outage of S3 would be one of everything.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

_Result = TypeVar("_Result")


class Threads:
    """Runs blocking functions, so many at a time; the next one waits for its turn.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._limiter = CapacityLimiter(most)

    async def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Return what the function returns, or raise what it raises."""
        return await to_thread.run_sync(function, *arguments, limiter=self._limiter)
