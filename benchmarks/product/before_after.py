"""`python -m benchmarks.product.before_after REVISION`: what a job costs Redis there, and here.

The revision is unpacked into a temporary folder, and its own service and workers are started from
there. One counter (`benchmarks/product/job_costs.py`) counts both, and RQ as it comes.
"""

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks.probes import subprocesses
from benchmarks.report.machine import describe
from benchmarks.report.outcome import Outcome, Record, Row
from benchmarks.report.view import print_table
from benchmarks.run import BEFORE_AFTER as NAME
from benchmarks.run import RESULTS
from stack.commands.interruption import exit_on_signals
from stack.display.terminal import print_anywhere
from stack.servers.fluxrelay import SOURCE_ROOT

TITLE: Final = "What a job costs Redis, before and after"
ABOUT: Final = """\
An earlier revision of this repository and the present one, each with its own service and one \
worker process per queue, run the same jobs (instant generations, results of 100 kB, with a \
callback). Calls by INFO commandstats, those inside scripts included; round trips by the server's \
own count of reads from its sockets; what goes on anyway is taken off. Beside them stands RQ as it \
comes: three tasks that do nothing, which is how many a job has, by `Queue.enqueue` and its \
`Worker` in burst mode, with no job around them."""
_MEASURES: Final[tuple[tuple[str, str, Callable[[Any], float]], ...]] = (
    ("Redis commands per job", "calls", lambda found: sum(found["commands"].values())),
    ("round trips per job", "reads", lambda found: found["reads"]),
    ("CPU of Redis per job", "ms", lambda found: 1000 * found["cpu"]),
)
_LEAST: Final = 0.05  # calls per job that get a line


def main(arguments: list[str]) -> int:
    """Count, print and keep it."""
    print_anywhere()
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{NAME}")
    parser.add_argument("revision")
    parser.add_argument("--count", type=int, default=240, help="jobs; default: %(default)s")
    parser.add_argument("--out", type=Path, default=RESULTS / "1", metavar="FOLDER")
    chosen = parser.parse_args(arguments)
    exit_on_signals()
    record = measure(chosen.revision, chosen.count)
    record.write(chosen.out)
    console = Console()
    print_table(console if console.is_terminal else Console(width=150), [record])
    return 0


def measure(revision: str, count: int) -> Record:
    """Count a revision's costs, the present ones, and those of RQ alone."""
    began, started_at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    machine = describe(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory("-before") as folder:
        _unpack(revision, Path(folder))
        before = _count(Path(folder), "jobs", count)
    after, empty = (_count(SOURCE_ROOT, what, count) for what in ("jobs", "empty tasks"))
    return Record(
        name=NAME,
        command=f"python -m benchmarks.{NAME} {revision}",
        started_at=started_at,
        seconds=round(time.monotonic() - began, 1),
        quick=False,
        machine=machine,
        outcome=compare({revision: before, "now": after, "RQ, empty tasks": empty}),
    )


def _unpack(revision: str, folder: Path) -> None:
    archive = subprocess.run(
        ["git", "-C", str(SOURCE_ROOT), "archive", "--format=tar", revision],
        capture_output=True,
        check=True,
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")


def _count(tree: Path, what: str, count: int) -> Any:
    order = {"what": what, "count": count, "idle_seconds": 4.0}
    script = str(SOURCE_ROOT / "benchmarks/product/job_costs.py")
    # The script's own folder must not be searched: all but the script is the tree's.
    environment = {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
    return subprocesses.ask(script, order, timeout=120, environment=environment)


def compare(found: dict[str, Any]) -> Outcome:
    """Return rows and a table of what was counted: at the revision, now, and of RQ alone."""
    before, _, _ = found
    rows = [
        Row(what=what, unit=unit, ours=of(found["now"]), against=of(found[other]), other=other)
        for what, unit, of in _MEASURES
        for other in found
        if other != "now"
    ]
    calls = {label: each["commands"] for label, each in found.items()}
    table = [["command", *calls], *_lines(list(calls.values()))]
    caption = f"Calls per job, at `{before}`, now, and of three empty tasks of RQ"
    return Outcome(title=TITLE, about=ABOUT, rows=rows, tables={caption: table})


def _lines(columns: Sequence[dict[str, float]]) -> list[list[str]]:
    names = {name for column in columns for name, calls in column.items() if calls >= _LEAST}
    by_calls = sorted(names, key=lambda name: -max(column.get(name, 0.0) for column in columns))
    return [
        [name.upper(), *(f"{column.get(name, 0.0):.1f}" for column in columns)] for name in by_calls
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
