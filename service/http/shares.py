"""Bounds how many requests do a thing at a time, and how many of them are of one tenant."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from core.log import event
from service.http.problems import Problem

_log = logging.getLogger(__name__)

#: Seconds for which refused requests are gathered into one line of the log.
_GATHER: Final = 5.0


class Refusals:
    """Counts the requests that a limit turned away, and logs how many there were.

    Args:
        gather: Seconds from the first one that is not logged yet until it is, with those after it.
    """

    def __init__(self, gather: float = _GATHER) -> None:
        self.gather = gather
        #: Limit -> requests that it has turned away since the start.
        self.counts: Counter[str] = Counter()
        self._unlogged: Counter[tuple[str, int, str]] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, limit: str, most: int, tenant: str) -> None:
        """Count a request.

        Args:
            limit: The name of the limit.
            most: The limit itself.
            tenant: Who sent the request.
        """
        self.counts[limit] += 1
        self._unlogged[limit, most, tenant] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.gather, self.log)

    def log(self) -> None:
        """Log those that were not logged yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for (limit, most, tenant), count in self._unlogged.items():
            values = {"limit": limit, "most": most, "tenant": tenant, "count": count}
            event(_log, "requests.refused", logging.WARNING, **values)
        self._unlogged.clear()


class Limit:
    """So many at a time.

    Args:
        name: Its name among the metrics and in the log.
        most: How many.
        problem: Returns the problem of whoever would be one too many.
    """

    def __init__(self, name: str, most: int, problem: Callable[[], Problem]) -> None:
        self.name = name
        self.most = most
        self.problem = problem


class Shares:
    """Counts the requests that do a thing, and turns away those that would be too many.

    One tenant gets only some of the places, so that there are others for the other tenants.

    Args:
        total: How many there may be.
        each: How many of one tenant.
        refusals: Told of those that are turned away.
    """

    def __init__(self, total: Limit, each: Limit, refusals: Refusals) -> None:
        refusals.counts.update({total.name: 0, each.name: 0})  # so that all are shown
        self.taken = 0
        self.total = total
        self._each = each
        self._refusals = refusals
        #: There are only as many tenants as the settings name.
        self._taken_by: Counter[str] = Counter()

    def take(self, tenant: str) -> None:
        """Take a place, which is to be given back.

        Raises:
            Problem: There is none.
        """
        if self.taken >= self.total.most:
            raise self._refused(self.total, tenant)
        if self._taken_by[tenant] >= self._each.most:
            raise self._refused(self._each, tenant)
        self.taken += 1
        self._taken_by[tenant] += 1

    def give_back(self, tenant: str) -> None:
        """Let others have the place."""
        self.taken -= 1
        self._taken_by[tenant] -= 1

    def _refused(self, limit: Limit, tenant: str) -> Problem:
        self._refusals.add(limit.name, limit.most, tenant)
        return limit.problem()
