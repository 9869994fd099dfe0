"""The events of all jobs, as they come on the command line."""

import json
import time
from pathlib import Path

from fluxrelay.cli.exits import Exit
from tests.cli.conftest import Cli

_CSV = "prompt,width,height\nA fox,256,256\nAn owl,256,256\n"


def test_all_events_are_shown_as_they_come(cli: Cli, tmp_path: Path) -> None:
    """Filters choose among them, an earlier event is where to begin, and `--count` ends it."""
    (tmp_path / "animals.csv").write_text(_CSV, encoding="utf-8")
    arguments = ("batch", "animals.csv", "-m", "flux-pro-1.1", "--new", "--no-wait")
    # An id's first part is its time; all events after this one can still be read.
    before = f"{int(time.time() * 1000) - 1000}-0"
    batch_id = cli(*arguments).out.strip()
    these = ("watch", "--of-batch", batch_id, "--status", "succeeded", "--after", before)

    shown = cli(*these, "--count", "2", "--json")

    events = [json.loads(line) for line in shown.out.splitlines()]
    assert (shown.code, [event["type"] for event in events]) == (Exit.DONE, ["job.succeeded"] * 2)
    assert {event["data"]["batch"] for event in events} == {batch_id}
    first, second = (event["data"]["job_id"] for event in events)
    later = cli(*these[:-1], events[0]["id"], "--count", "1")
    assert "job.succeeded" in later.out
    assert (first in later.out, second in later.out) == (False, True)


def test_filters_are_for_all_jobs(cli: Cli) -> None:
    """Beside a job's id they mean nothing, and are refused."""
    done = cli("watch", "a-job", "--status", "succeeded")
    assert (done.code, "leave JOB out" in done.err) == (Exit.USAGE, True)
