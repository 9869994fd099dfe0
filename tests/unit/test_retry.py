"""When to try again is arithmetic."""

import random
from itertools import pairwise

import pytest

from worker.clients.backoff import backoff


class _Fixed(random.Random):
    """A source of chance that is none."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self._value = value

    def random(self) -> float:
        """Return the same again and again."""
        return self._value


def test_waits_double_up_to_a_cap() -> None:
    """Without jitter it is base, twice base, four times base, and then the longest."""
    waits = [backoff(tries, base=1, longest=30, rng=_Fixed(1.0)) for tries in range(8)]

    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_jitter_takes_up_to_half_away() -> None:
    """No wait is below half of the full one, and none above it."""
    assert backoff(3, base=1, longest=30, rng=_Fixed(0.0)) == 4
    rng = random.Random(1)  # noqa: S311 - a table that is the same on each run
    waits = sorted(backoff(3, base=1, longest=30, rng=rng) for _ in range(200))
    assert waits[0] >= 4
    assert waits[-1] <= 8
    assert len(set(waits)) > 100


@pytest.mark.parametrize("tries", [30, 31, 1000, 10**9])
def test_many_tries_do_not_overflow(tries: int) -> None:
    """However often it was put off, the wait is a number, and the longest."""
    assert backoff(tries, base=0.001, longest=3600, rng=_Fixed(1.0)) == 3600


def test_waits_never_shrink() -> None:
    """Each further try waits at least as long, chance aside."""
    waits = [backoff(tries, base=0.7, longest=60, rng=_Fixed(0.5)) for tries in range(40)]

    assert all(earlier <= later for earlier, later in pairwise(waits))
