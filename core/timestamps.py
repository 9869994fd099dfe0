"""Unix time as ISO 8601: written in UTC, read in any zone."""

import time
from datetime import datetime
from functools import lru_cache


def milliseconds(at: float) -> str:
    """Return `2026-01-31T23:59:59.123Z`, truncated to milliseconds."""
    second, rest = divmod(round(at * 1_000_000), 1_000_000)
    return f"{_second(second)}.{rest // 1000:03d}Z"


def microseconds(at: float) -> str:
    """Return `2026-01-31T23:59:59.123456Z`."""
    second, rest = divmod(round(at * 1_000_000), 1_000_000)
    return f"{_second(second)}.{rest:06d}Z"


def unix_time(text: str) -> float:
    """Return the Unix time of an ISO 8601 time with its zone.

    Raises:
        ValueError: It is none, or has no zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(text)
    return at.timestamp()


@lru_cache(maxsize=64)  # most timestamps fall into the same few seconds
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
