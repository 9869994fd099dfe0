"""Display of the stack: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from stack.servers.process import ManagedProcess

#: What each process does, for first-time users.
_PURPOSES = {
    "valkey": "jobs, slots and queues, on disk",
    "seaweedfs": "the S3 bucket",
    "sandbox": "stands in for the provider",
    "service": "takes jobs and webhooks",
    "worker.submit": "hands jobs to the provider",
    "worker.collect": "copies results into the bucket",
    "worker.notify": "signs and sends callbacks",
    "worker.sweep": "starts steps that no event started",
}

#: Fits a terminal of 80 columns, with the other columns.
_BAR_WIDTH = 44


@dataclass(frozen=True)
class Check:
    """The outcome of one of the demo's checks."""

    label: str
    passed: bool
    text: str


class StartDisplay:
    """Shows which processes are starting and which are ready; a context manager.

    Args:
        console: Where to print.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._ready: dict[str, float | None] = {}
        self._live = Live(console=console, refresh_per_second=12) if console.is_terminal else None

    @property
    def seconds(self) -> float:
        """Seconds since the display was created."""
        return time.monotonic() - self._began

    def observe(self, process: ManagedProcess, ready: bool) -> None:
        """Record that a process was started or became ready (an observer of the stack)."""
        self._ready[process.name] = self.seconds if ready else None
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
        elif ready:
            self._console.print(f"[{self.seconds:5.2f} s] {process.name} is ready", markup=False)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, seconds in self._ready.items():
            waiting = seconds is None
            table.add_row(
                Spinner("dots", style="cyan") if waiting else Text("✓", style="bold green"),
                Text(name, style="dim" if waiting else "bold"),
                Text("" if seconds is None else f"{seconds:.2f} s", style="cyan"),
                Text(_PURPOSES.get(name, ""), style="dim"),
            )
        return table


def print_heading(console: Console, text: str) -> None:
    """Print a heading."""
    console.print()
    console.print(Text(text, style="bold magenta"))


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """Print lines to be copied: never wrapped, never coloured."""
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def print_timeline(console: Console, steps: Sequence[tuple[str, float]]) -> None:
    """Print a job's timeline, in seconds since it was accepted."""
    table = Table.grid(padding=(0, 2))
    longest = max((seconds for _, seconds in steps), default=0.0) or 1.0
    for number, (name, seconds) in enumerate(steps):
        style = "green" if number == len(steps) - 1 else "cyan"
        table.add_row(
            Text(f"{seconds:7.3f} s", style="cyan"),
            Text(name, style=f"bold {style}"),
            Text("━" * round(_BAR_WIDTH * seconds / longest) + "●", style=style),
        )
    console.print(table)


def print_checks(console: Console, checks: Iterable[Check]) -> None:
    """Print the checks, with a cross for each that failed."""
    table = Table.grid(padding=(0, 1))
    for check in checks:
        table.add_row(
            Text("✓", style="bold green") if check.passed else Text("✗", style="bold red"),
            Text(check.label, style="bold"),
            Text(check.text, overflow="fold"),
        )
    console.print(table)


def print_failure(console: Console, reason: str, tails: Mapping[str, str]) -> None:
    """Print why it failed and the last log lines of each process."""
    console.print()
    console.print(Text(f"✗ {reason}", style="bold red"), soft_wrap=True)
    for name, tail in tails.items():
        if tail:
            console.print(Text(f"\nlast lines of {name}:", style="bold"))
            print_lines(console, tail.splitlines())
