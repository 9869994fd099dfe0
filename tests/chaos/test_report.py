"""What a run shows and writes, and how it exits."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chaos import __main__ as command
from chaos.actors.killer import Death
from chaos.judge.cases import EvidenceByJob
from chaos.judge.evidence import Evidence
from chaos.judge.verdict import Verdict
from tests.chaos.sample_evidence import GOOD, ID, failure

Run = Callable[[Evidence, bool], int]


@pytest.fixture
def carried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that has the command judge made-up evidence, and returns its exit code."""

    def run(evidence: Evidence, in_time: bool) -> int:
        began_at = 1795278300.0
        deaths = [Death("valkey", began_at + 1, began_at + 2, planned=True)]
        verdict = Verdict(EvidenceByJob(evidence), deaths, began_at, 9.0, in_time)
        monkeypatch.setattr(command, "run", lambda *_args, **_more: verdict)
        monkeypatch.setattr(command, "exit_on_signals", lambda: None)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return command.main(["--jobs", "2", "--seed", "4", "--out", str(tmp_path / "out")])

    return run


def test_a_run_that_holds_exits_with_0(carried_out: Run, tmp_path: Path) -> None:
    """It writes JSON and picture, and leaves nothing else behind."""
    assert carried_out(GOOD, True) == 0

    written = json.loads((tmp_path / "out/seed-4.json").read_text())
    assert written["holds"] is True
    assert written["killed"] == {"valkey": 1}
    assert written["of_jobs"] == []
    assert (tmp_path / "out/seed-4.png").read_bytes().startswith(b"\x89PNG")


def test_a_broken_rule_exits_with_1(
    carried_out: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rule, the job, and what each judge says of it are told."""
    broken = replace(GOOD, views={**GOOD.views, ID: failure("timed_out")})

    assert carried_out(broken, True) == 1

    written = json.loads((tmp_path / "out/seed-4.json").read_text())
    assert written["broken"]["unexpected"] == 1
    assert [job["job_id"] for job in written["of_jobs"]] == [ID]
    shown = capsys.readouterr().out
    assert "unexpected: job 0: timed_out instead of succeeded" in shown
    assert "Data and logs are kept in" in shown


def test_a_run_that_was_not_over_in_time_exits_with_1(carried_out: Run) -> None:
    """Nobody knows what would have become of it."""
    assert carried_out(GOOD, False) == 1
