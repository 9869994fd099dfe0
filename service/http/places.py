"""Places for what may be under way only so often at a time."""

import asyncio
from collections.abc import Callable
from typing import Final

from service.http.problems import Problem

#: Seconds that anybody waits for a place.
_LONGEST_WAIT: Final = 10.0


class Places:
    """Who finds all of them taken waits a little, and is then sent away.

    Args:
        most: How many there are.
        busy: Returns the problem of whoever is sent away.
    """

    def __init__(self, most: int, busy: Callable[[], Problem]) -> None:
        self._free = asyncio.Semaphore(most)
        self._busy = busy

    async def take(self) -> None:
        """Take a place, which is to be given back.

        Raises:
            Problem: There was none.
        """
        try:
            async with asyncio.timeout(_LONGEST_WAIT):
                await self._free.acquire()
        except TimeoutError:
            raise self._busy() from None

    def give_back(self) -> None:
        """Let the next one have it."""
        self._free.release()
