"""How a batch goes on, as a bar with its rate, its failures and the time left."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from fluxrelay.cli.views.batches import counts_text, ended_jobs
from fluxrelay.cli.views.jobs import moment

View = Mapping[str, Any]
#: Seconds between two lines, where nothing can move.
_LINE_SECONDS: Final = 10.0


@contextmanager
def batch_progress(console: Console, *, live: bool) -> Iterator[Callable[[View], None]]:
    """Give a function that shows the batch's views one after the other.

    Args:
        console: Where to show it.
        live: Whether something can move there; otherwise there is a line now and then.
    """
    if live:
        with progress_bar(console) as bar:
            yield lambda batch: _move(bar, fields(batch, time.time()))
        return
    last = time.monotonic()

    def show(batch: View) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_SECONDS:
            last = time.monotonic()
            console.print(counts_text(batch), soft_wrap=True)

    yield show


def _move(bar: Progress, shown: dict[str, Any]) -> None:
    if not bar.task_ids:
        bar.add_task("", **shown)
    else:
        bar.update(bar.task_ids[0], **shown)


def progress_bar(console: Console) -> Progress:
    """Return the bar, without any task."""
    return Progress(
        BarColumn(bar_width=None, complete_style="cyan", finished_style="green"),
        TextColumn("{task.fields[ended]}/{task.total}"),
        TextColumn("{task.fields[rate]}", style="dim"),
        TextColumn("{task.fields[failures]}", style="red"),
        TextColumn("{task.fields[left]}", style="dim"),
        console=console,
        expand=True,
        transient=True,
    )


def fields(batch: View, now: float) -> dict[str, Any]:
    """Return what the bar shows of a batch at a time (Unix seconds)."""
    counts, ended = batch["counts"], ended_jobs(batch)
    seconds = max(now - moment(batch["created_at"]).timestamp(), 0.001)
    rate = ended / seconds
    left = ""
    if batch["estimated_end_at"]:
        left = f"{clock(moment(batch['estimated_end_at']).timestamp() - now)} left"
    elif rate:
        left = f"{clock((counts['total'] - ended) / rate)} left"
    failed = counts["failed"] + counts["canceled"]
    return {
        "total": counts["total"],
        "completed": ended,
        "ended": ended,
        "rate": f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.1f}/min",
        "failures": f"{failed} failed" if failed else "",
        "left": left if ended < counts["total"] else "",
    }


def clock(seconds: float) -> str:
    """Return seconds as minutes and seconds, or as hours and minutes."""
    whole = max(0, round(seconds))
    if whole >= 3600:  # noqa: PLR2004 - an hour
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 60}:{whole % 60:02}"
