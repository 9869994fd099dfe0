"""Exponential backoff with jitter."""

import random
from typing import Final

_LARGEST_EXPONENT: Final = 30


def backoff(tries: int, *, base: float, longest: float, rng: random.Random) -> float:
    """Return the seconds to wait before the next try: doubling, capped, with jitter.

    The jitter takes off up to half, so that jobs that failed together are not retried together, and
    none is retried at once.

    Args:
        tries: Number of earlier retries, from 0.
        base: Seconds after the first failure.
        longest: Cap in seconds.
        rng: Source of the jitter.
    """
    full = min(longest, base * 2.0 ** min(tries, _LARGEST_EXPONENT))
    return full * (0.5 + 0.5 * rng.random())
