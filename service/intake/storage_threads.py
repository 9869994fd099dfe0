"""Separate thread pools for S3, so that nothing else waits behind it.

While S3 does not respond, each request to it blocks a thread until its timeout. If webhooks, reads
and health checks shared those threads, an S3 outage would affect everything.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

_Result = TypeVar("_Result")


class ThreadPool:
    """Runs blocking functions, a limited number at a time; further calls wait.

    Args:
        most: Most threads at a time.
    """

    def __init__(self, most: int) -> None:
        self._limiter = CapacityLimiter(most)

    async def run(self, function: Callable[..., _Result], *arguments: Any) -> _Result:
        """Run a function in a thread and return its result."""
        return await to_thread.run_sync(function, *arguments, limiter=self._limiter)
