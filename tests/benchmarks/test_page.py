"""The page that is made from the results: several runs, and what is said of missed goals."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.report import missed_goals
from benchmarks.report.outcome import Outcome, Record, at_least, at_most

MACHINE = {"processor": "one", "shared": "no", "busy before": "1 %"}


def record(rate: float, seconds: float) -> Record:
    """Return a record of `slots` with one goal of each kind."""
    rows = [
        at_least(0.99, what="rate", ours=rate, against=24.0, unit="images/s", other="the ideal"),
        at_most(2.0, what="wait", ours=seconds, against=1.0, unit="s", other="a floor"),
    ]
    outcome = Outcome(title="Slots", about="How.", rows=rows)
    return Record(
        name="slots",
        command="make bench ARGS=slots",
        started_at="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        quick=False,
        machine=MACHINE,
        outcome=outcome,
    )


def kept(tmp_path: Path, *records: Record) -> page.Results:
    """Write each as a run of its own, and read them as the page does."""
    for number, each in enumerate(records, start=1):
        each.write(tmp_path / str(number))
    return page.read(tmp_path)


def test_runs_stand_side_by_side(tmp_path: Path) -> None:
    """Each goal has one line with what every run found, and how many of them met it."""
    text = page.page(kept(tmp_path, record(23.9, 1.5), record(12.0, 1.25)))

    assert (
        "| [slots](#slots) | rate, against the ideal | ≥ 0.99 × | 0.9958 × (23.9 : 24.0 images/s) "
        "| 0.5000 × (12.0 : 24.0 images/s) | 1 of 2 |"
    ) in text
    assert "| 1.50 × (1.50 : 1.00 s) | 1.25 × (1.25 : 1.00 s) | yes |" in text


def test_a_goal_is_explained_only_where_it_is_missed(tmp_path: Path) -> None:
    """One run that misses it is enough; with none, the page does not mention it."""
    met, short = record(24.0, 1.0), record(12.0, 1.0)

    assert "Missed goals" not in page.page(kept(tmp_path / "met", met, met))
    assert page.missed(kept(tmp_path / "one", met, short)) == {"slots": ["rate"]}
    assert missed_goals.read()["slots"].text in page.page(kept(tmp_path / "two", met, short))


def test_a_run_may_lack_what_another_one_has(tmp_path: Path) -> None:
    """A peer that could not be installed once leaves a gap, not a shift."""
    whole = record(24.0, 1.0)
    part = replace(whole, outcome=replace(whole.outcome, rows=whole.outcome.rows[:1]))
    text = page.page(kept(tmp_path, part, whole))

    assert "| wait, against a floor | ≤ 2 × |  | 1.00 × (1.00 : 1.00 s) | yes |" in text


def test_every_missed_goal_of_the_kept_results_is_explained() -> None:
    """Whoever commits results that miss a goal says why."""
    assert page.missed(page.read()).keys() <= missed_goals.read().keys()


def test_an_explanation_has_all_three_parts(tmp_path: Path) -> None:
    """Why, what was tried, and the floor; nothing else, and none of them empty."""
    file = tmp_path / "missed_goals.toml"
    file.write_text('[copy]\nwhy = "slow"\ntried = "much"\n')
    with pytest.raises(TypeError):
        missed_goals.read(file)
    file.write_text('[copy]\nwhy = "slow"\ntried = "much"\nfloor = " "\n')
    with pytest.raises(ValueError, match="copy is empty"):
        missed_goals.read(file)
