"""How the benchmarks show themselves: what is under way, then a table of what was found."""

import time
from collections.abc import Iterable
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from benchmarks.report.outcome import Record, Row


class Display:
    """Says which scenario is under way and what it does; a bar on a terminal, lines elsewhere.

    Args:
        console: Where.
        total: How many scenarios there are.
    """

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._began = time.monotonic()
        self._progress = Progress(
            BarColumn(24),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
        )
        self._task = self._progress.add_task("starting", total=total)
        self._live = Live(self._progress, console=console) if console.is_terminal else None
        self._name = ""

    def begin(self, name: str) -> None:
        """A scenario begins."""
        self._name = name
        self.say("begins")

    def say(self, text: str) -> None:
        """Say what it does now."""
        line = f"{self._name}: {text}"
        self._progress.update(self._task, description=line)
        if self._live is None:
            seconds = time.monotonic() - self._began
            self._console.print(f"[{seconds:6.1f} s] {line}", markup=False, highlight=False)

    def end(self, record: Record | None, reason: str = "") -> None:
        """A scenario ended, with a record or for a reason."""
        self._progress.advance(self._task)
        style, text = ("green", "✓") if record else ("red", f"✗ {reason}")
        self._console.print(Text(f"{text} {self._name}", style=style))

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.stop()


def number(value: float | None) -> str:
    """Return a figure with three digits that say something."""
    if value is None:
        return ""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def verdict(row: Row) -> str:
    """Return whether a goal is met, as one sign."""
    return {None: "", True: "✓", False: "✗"}[row.met]


#: Ratios below are shown with so many decimals.
_NEAR, _FINE = 1.0, 4


def ratio_text(row: Row) -> str:
    """Return a row's ratio as people write it; near 1 so finely that it can be told from a goal."""
    return "" if row.ratio is None else f"{row.ratio:.{_FINE if row.ratio < _NEAR else 2}f} ×"


def print_table(console: Console, records: Iterable[Record]) -> None:
    """Print what was found."""
    table = Table(title="Ours against floors and peers, in the same run")
    for head in ("scenario", "what", "ours", "against", "of", "ratio", "goal", ""):
        right = head in ("ours", "against", "ratio")
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for record in records:
        for place, row in enumerate(record.outcome.rows):
            table.add_row(
                "" if place else record.name,
                row.what,
                f"{number(row.ours)} {row.unit}",
                "" if row.against is None else f"{number(row.against)} {row.unit}",
                row.other,
                ratio_text(row),
                row.goal,
                verdict(row),
            )
        table.add_section()
    console.print(table)
