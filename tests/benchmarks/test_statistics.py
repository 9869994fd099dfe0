"""The arithmetic of the benchmarks."""

import pytest

from benchmarks.report.outcome import Row, at_least, at_most
from benchmarks.report.statistics import percentile, ratio, steady_rate, turned


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.5, 50.0), (0.501, 51.0), (0.99, 99.0), (1.0, 100.0)]
)
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    """Of 1 to 100, in any order, the 99th percentile is 99."""
    assert percentile([float(n) for n in range(100, 0, -1)], share) == expected


def test_there_is_no_percentile_of_nothing() -> None:
    """No values are an error, not a zero."""
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_nothing_always_comes_first() -> None:
    """Each second round goes the other way round."""
    assert [turned("abc", turn) for turn in range(3)] == [
        ["a", "b", "c"],
        ["c", "b", "a"],
        [*"abc"],
    ]


def test_a_ratio_to_nothing_has_no_meaning() -> None:
    """Ours by zero is no number."""
    assert ratio(1.0, 0.0) is None
    assert ratio(3.0, 2.0) == 1.5


def test_crowds_do_not_distort_a_rate() -> None:
    """Whole crowds of 24 each second are 24 per second, wherever the middle begins."""
    ended = [float(turn) for turn in range(20) for _ in range(24)]
    for cut in range(24):
        assert steady_rate(ended[cut:], 24) == pytest.approx(24.0)


def test_the_ends_of_a_run_do_not_count() -> None:
    """A slow beginning and a slow end leave the rate as it is."""
    steady = [10 + n / 8 for n in range(400)]
    slow = [n / 5 for n in range(50)], [60 + 3 * n for n in range(50)]
    assert steady_rate([*slow[0], *steady, *slow[1]], 8) == pytest.approx(8.0)


def test_a_run_that_is_too_short_has_no_rate() -> None:
    """Fewer than two turns in the middle are an error."""
    with pytest.raises(ValueError, match="too few"):
        steady_rate([1.0] * 24, 24)


def test_a_goal_is_met_at_its_bound() -> None:
    """The bound itself is within; beyond it, or without the other figure, it is not met."""
    facts = {"what": "w", "unit": "ms", "other": "o"}
    assert at_most(1.15, ours=1.15, against=1.0, **facts).met
    assert not at_most(1.15, ours=1.16, against=1.0, **facts).met
    assert at_least(3.0, ours=3.0, against=1.0, **facts).met
    assert not at_least(3.0, ours=2.9, against=1.0, **facts).met
    assert not at_most(1.0, ours=0.0, against=0.0, **facts).met
    assert Row(what="w", unit="ms", ours=1.0).met is None
