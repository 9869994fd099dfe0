"""The runner, from the command line to the files, with tiny numbers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from benchmarks import page
from benchmarks.probes.time_limits import TimeIsUpError, at_most
from benchmarks.report.outcome import Record
from benchmarks.run import NAMES, RESULTS, module

ROOT = Path(__file__).resolve().parents[2]


#: The rows of some scenarios in a quick run.
ROWS: Final = {
    "copy": ["median", "99th percentile", "median, to `succeeded`"],
    "memory": [
        "peak with 5 MB images",
        "peak with a 70 MB video",
        "peak with 4 images of 5 MB at once",
        "peak with all of these at once",
        "stored files with other bytes than their host's",
    ],
    "videos": [
        "median time of an image",
        "the same if videos count towards the 24",
        "answers 429",
    ],
}
#: Rows that must be 0, however quick the run.
NONE: Final = ("stored files with other bytes than their host's", "answers 429")


@pytest.mark.parametrize("name", ROWS)
def test_a_quick_run_leaves_figures_and_pictures(tmp_path: Path, name: str) -> None:
    """One scenario against the whole product: JSON, a picture, and a table for the reader."""
    command = [sys.executable, "-m", "benchmarks", name, "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    record = Record.read(tmp_path / f"{name}.json")
    assert record.quick
    rows = record.outcome.rows
    assert [row.what for row in rows] == ROWS[name]
    assert all(row.ours > 0 and row.against for row in rows if row.what not in NONE)
    assert [row.ours for row in rows if row.what in NONE and row.ours] == []
    assert (tmp_path / f"{name}-0.png").read_bytes().startswith(b"\x89PNG")
    assert "in the same run" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_says_what_it_is(name: str) -> None:
    """Each has a title, a limit in seconds, an explanation, and `run`."""
    scenario = module(name)
    assert scenario.TITLE
    assert scenario.ABOUT
    assert scenario.SECONDS <= 600
    assert callable(scenario.run)


def _never_ends() -> None:
    while True:
        pass


def test_time_is_limited() -> None:
    """What takes too long is broken off."""
    with pytest.raises(TimeIsUpError), at_most(0.05):
        _never_ends()


def test_records_are_read_back_as_they_were(tmp_path: Path) -> None:
    """JSON and back changes nothing."""
    for record in [kept.record for each in page.read().values() for kept in each]:
        record.write(tmp_path)
        assert Record.read(tmp_path / f"{record.name}.json") == record


def test_the_page_is_what_the_results_make_of_it() -> None:
    """`docs/performance.md` is made, not written."""
    assert page.PAGE.read_text(encoding="utf-8") == page.page(page.read())


def test_kept_results_are_of_thorough_runs() -> None:
    """No quick run's figures are shown."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*/*.json")]
    assert [record["name"] for record in records if record["quick"]] == []
