"""Places for what may be under way only so often at a time."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from service.http.problems import Problem

#: Seconds that anybody waits for a place.
_LONGEST_WAIT: Final = 10.0


class Places:
    """Who finds all of them taken waits a little, and is then sent away.

    One tenant gets only some of them, however many requests it sends and however long each takes,
    so that there are places for the others.

    Args:
        most: How many there are.
        busy: Returns the problem of whoever is sent away.
        each: How many one tenant may have; by default all.
    """

    def __init__(self, most: int, busy: Callable[[], Problem], *, each: int | None = None) -> None:
        self._free = asyncio.Semaphore(most)
        self._busy = busy
        share = most if each is None else each
        # There are only as many tenants as the settings name.
        self._shares = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(share))

    async def take(self, tenant: str) -> None:
        """Take a place, which is to be given back.

        Raises:
            Problem: There was none.
        """
        share = self._shares[tenant]
        try:
            async with asyncio.timeout(_LONGEST_WAIT):
                # In this order: who waits for its own places stands in nobody's way.
                await share.acquire()
                try:
                    await self._free.acquire()
                except BaseException:
                    share.release()
                    raise
        except TimeoutError:
            raise self._busy() from None

    def give_back(self, tenant: str) -> None:
        """Let the next one have it."""
        self._free.release()
        self._shares[tenant].release()

    @contextmanager
    def later(self, tenant: str) -> Iterator["LaterPlace"]:
        """Return a place that is taken if it turns out to be needed; leaving gives it back."""
        place = LaterPlace(self, tenant)
        try:
            yield place
        finally:
            place.give_back()


class LaterPlace:
    """A place that is not taken yet.

    Args:
        places: Where to take it.
        tenant: For whom.
    """

    def __init__(self, places: Places, tenant: str) -> None:
        self._places = places
        self._tenant = tenant
        self.is_taken = False

    async def take(self) -> None:
        """Take it, unless it is taken already.

        Raises:
            Problem: There was none.
        """
        if not self.is_taken:
            await self._places.take(self._tenant)
            self.is_taken = True

    def give_back(self) -> None:
        """Give it back if it was taken."""
        if self.is_taken:
            self.is_taken = False
            self._places.give_back(self._tenant)


def fair_share(places: int, tenants: int) -> int:
    """Return how many places one tenant may have: half of them if there are other tenants.

    Args:
        places: How many there are.
        tenants: Number of tenants that share them.
    """
    return places if tenants == 1 else (places + 1) // 2
