"""The arithmetic of the benchmarks; no clock and no I/O in here."""

from collections.abc import Iterable, Sequence
from statistics import mean, median
from typing import TypeVar

__all__ = ["mean", "median", "percentile", "ratio", "steady_rate", "turned"]

_Choice = TypeVar("_Choice")

#: The part of a run that counts: its beginning fills the slots, its end empties them.
MIDDLE = (0.25, 0.75)


def turned(choices: Iterable[_Choice], turn: int) -> list[_Choice]:
    """Return the choices in their order in even rounds, in the opposite one in odd rounds.

    So none of them always comes first, or always after the same other one.
    """
    ordered = list(choices)
    return ordered[::-1] if turn % 2 else ordered


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that so large a share (0 to 1) of the values does not exceed.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = -int(-share * len(ordered) // 1)  # rounded up
    return ordered[max(0, min(len(ordered), rank) - 1)]


def ratio(ours: float, against: float) -> float | None:
    """Return how many times `against` is contained in `ours`; None where that has no meaning."""
    return ours / against if against else None


def steady_rate(ended: Sequence[float], slots: int) -> float:
    """Return completions per second over the middle of a run.

    Tasks end in crowds, so that counting them between two moments errs by up to a crowd. The time
    from one completion to that `slots` completions later is one turn of a slot, whatever the
    crowd, and its mean over the middle gives the rate.

    Args:
        ended: When each task ended, in seconds.
        slots: How many may run at a time.

    Raises:
        ValueError: The middle is shorter than one turn.
    """
    ordered = sorted(ended)
    first, last = (int(len(ordered) * share) for share in MIDDLE)
    turns = [ordered[at + slots] - ordered[at] for at in range(first, last - slots)]
    if not turns:
        raise ValueError(f"{len(ordered)} completions are too few for {slots} slots")
    return slots / mean(turns)
