"""When a request is sent again, and how long to wait before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from random import random

from fluxrelay.errors import ProblemError, UnreachableError
from fluxrelay.protocol.messages import Request

#: The service answers so before it does anything, so that these can always be sent again.
_NOT_STARTED = frozenset({408, 429, 503})
#: What a proxy answers of a request that it may have passed on.
_IN_DOUBT = frozenset({502, 504})
#: The one 503 of which it is unknown whether the request took effect.
_STOPPED = "stopped"


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is sent again, and after how many seconds.

    Waits grow from `first` to `longest`, doubling, and are shortened by up to half at random, so
    that many clients do not come back at once. A `Retry-After` of the service is honoured, unless
    it is above `longest_retry_after`: then the error is raised at once, and names it.
    """

    retries: int = 4
    first: float = 0.5
    longest: float = 8.0
    longest_retry_after: float = 60.0
    random: Callable[[], float] = random

    def backoff(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row."""
        whole = min(self.longest, self.first * 2.0 ** min(failures - 1, 32))
        return whole * (1 - self.random() / 2)

    def wait(self, request: Request, error: Exception, failures: int) -> float | None:
        """Return the seconds after which to send a request again, or None if it must not be."""
        if failures > self.retries or not may_repeat(request, error):
            return None
        after = error.retry_after if isinstance(error, ProblemError) else None
        if after is None:
            return self.backoff(failures)
        if after > self.longest_retry_after:
            return None
        return after * (1 + self.random() / 4)


def may_repeat(request: Request, error: Exception) -> bool:
    """Tell whether a request may succeed, and do no harm, if it is sent again after an error."""
    if isinstance(error, UnreachableError):
        return request.repeatable or not error.sent
    if not isinstance(error, ProblemError):
        return False
    if error.status in _NOT_STARTED and error.type != _STOPPED:
        return True
    in_doubt = error.status in _IN_DOUBT or error.type == _STOPPED
    return in_doubt and request.repeatable


def retry_after(value: str | None, at: datetime) -> float | None:
    """Return the seconds that a `Retry-After` header asks for; None if there is none to go by."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - at).total_seconds())
