"""When to try again; pure arithmetic."""

import random
from typing import Final

_LARGEST_EXPONENT: Final = 30


def backoff(tries: int, *, base: float, longest: float, rng: random.Random) -> float:
    """Return the seconds to wait before the next try: doubling, capped, with jitter.

    The jitter takes up to half away, so that many jobs which failed together do not come back
    together, and none comes back at once.

    Args:
        tries: How often it was put off before, from 0.
        base: Seconds after the first failure.
        longest: Cap in seconds.
        rng: Source of the jitter.
    """
    full = min(longest, base * 2.0 ** min(tries, _LARGEST_EXPONENT))
    return full * (0.5 + 0.5 * rng.random())
