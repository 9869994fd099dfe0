"""Runs scenarios one after the other, each within its time, and keeps what they found."""

import importlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Final

from benchmarks.probes import time_limits
from benchmarks.probes.context import Context
from benchmarks.probes.subprocesses import ChildFailedError
from benchmarks.report import plots
from benchmarks.report.machine import describe
from benchmarks.report.outcome import Record
from benchmarks.report.view import Display
from stack.servers.fluxrelay import SOURCE_ROOT
from stack.servers.process import ProcessFailedError

#: In the order of the page.
NAMES: Final = (
    "slots", "copy", "callback", "intake", "whole", "cpu", "memory", "backlog", "scale", "videos",
    "list", "wait",
)  # fmt: skip
#: Where scenarios stand that are not in the folder itself.
_FOLDERS: Final = {"list": "callers.", "wait": "callers."}
#: Stands behind them, and is counted by its own command (`benchmarks/product/before_after.py`).
BEFORE_AFTER: Final = "before_after"
HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "results"
PEERS: Final = SOURCE_ROOT / ".peers"
#: What may go wrong in a scenario without taking the others with it.
_TROUBLES: Final = (
    time_limits.TimeIsUpError, ProcessFailedError, ChildFailedError, TimeoutError, ValueError,
    OSError,
)  # fmt: skip


def run_all(names: Sequence[str], context: Context, display: Display, out: Path) -> list[Record]:
    """Run scenarios; what one found is written before the next begins.

    Returns:
        The records of those that came to their end.
    """
    records = []
    for name in names:
        display.begin(name)
        try:
            record = run_one(name, context)
        except _TROUBLES as error:
            display.end(None, f"{type(error).__name__}: {error}")
            continue
        record.write(out)
        plots.draw(record, out)
        records.append(record)
        display.end(record)
    return records


def run_one(name: str, context: Context) -> Record:
    """Run one scenario.

    Raises:
        TimeIsUpError: It took longer than it may.
    """
    scenario = module(name)
    machine = describe(Path("/tmp"))  # noqa: S108 - asked of, not written to
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    began = time.monotonic()
    with time_limits.at_most(scenario.SECONDS):
        outcome = scenario.run(context)
    return Record(
        name=name,
        command=_command(name, context.run),
        started_at=started_at,
        seconds=round(time.monotonic() - began, 1),
        quick=context.quick,
        machine=machine,
        outcome=outcome,
    )


def _command(name: str, run: int) -> str:
    return f"make bench ARGS={name}" if run == 1 else f'make bench ARGS="{name} --run {run}"'


def module(name: str) -> ModuleType:
    """Return a scenario's module."""
    return importlib.import_module(f"benchmarks.scenarios.{_FOLDERS.get(name, '')}{name}")
