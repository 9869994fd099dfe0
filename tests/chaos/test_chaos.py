"""A short run of `make chaos`: everything is killed while 200 jobs run, and nothing is broken."""

import json
from pathlib import Path

import pytest
from PIL import Image

from chaos.judge.evidence import TERMINAL
from chaos.judge.report import document, write
from chaos.judge.timeline_plot import draw
from chaos.plan.plan import TARGETS, make_plan
from chaos.run import run

#: Seconds; a run takes about a minute.
_LIMIT = 180.0


@pytest.mark.timeout(270)
def test_no_promise_is_broken_while_everything_is_killed(tmp_path: Path) -> None:
    """No job is lost, stuck, paid twice, wrong or untold, no forgery is believed; it is shown."""
    plan = make_plan(200, 7)

    verdict = run(plan, directory=tmp_path / "stack", limit=_LIMIT, say=print)

    told = document(plan, verdict)
    assert verdict.holds, json.dumps({"run": told["of_the_run"], "jobs": told["of_jobs"]}, indent=1)
    assert verdict.counts["accepted"] == 200
    assert {case.status for case in verdict.trial.cases} <= TERMINAL
    assert set(verdict.kills) == set(TARGETS)
    assert verdict.counts["forged webhooks refused"] > 0
    assert verdict.counts["canceled"] > 0
    assert verdict.counts["batches"] == len(plan.batches)
    assert verdict.counts["  with a draft's bundle"] > 0
    write(tmp_path / "run.json", plan, verdict)
    assert json.loads((tmp_path / "run.json").read_text())["holds"] is True
    draw(tmp_path / "run.png", plan, verdict)
    with Image.open(tmp_path / "run.png") as picture:
        assert picture.width > picture.height > 500
