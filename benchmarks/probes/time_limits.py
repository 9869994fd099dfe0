"""A hard limit of time for what runs in the main thread."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeIsUpError(Exception):
    """A scenario took longer than it may."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise in whatever runs inside once the time is up, so that everything is put away.

    Raises:
        TimeIsUpError: It was.
    """

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeIsUpError(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
