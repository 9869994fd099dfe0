"""Draws the pictures of an outcome with matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report import flame_graphs
from benchmarks.report.outcome import Plot, Record

_INCHES = (7.2, 3.4)
_WIDE, _FRAME = 11.0, 0.26  # inches, of a flame graph and of one frame's height
_DOTS = 110


def draw(record: Record, folder: Path) -> list[Path]:
    """Draw an outcome's pictures into the folder; return the files, one per picture."""
    mpl.use("agg")
    files = picture_files(record, folder)
    for plot, path in zip(record.outcome.plots, files, strict=True):
        figure = Figure(
            figsize=_tall(plot) if plot.kind == "flame" else _INCHES,
            dpi=_DOTS,
            layout="constrained",
        )
        axes = figure.subplots()
        _KINDS[plot.kind](axes, plot)
        figure.suptitle(plot.title, fontsize=10)
        axes.set_xlabel(plot.x)
        axes.set_ylabel(plot.y)
        axes.spines[["top", "right"]].set_visible(False)
        # Without the version of the drawing library in it, equal figures give equal files.
        figure.savefig(path, metadata={"Software": None})
    return files


def picture_files(record: Record, folder: Path) -> list[Path]:
    """Return where an outcome's pictures are."""
    return [folder / f"{record.name}-{place}.png" for place in range(len(record.outcome.plots))]


def _bars(axes: Axes, plot: Plot) -> None:
    labels = list(plot.series)
    values = [plot.series[label][0] for label in labels]
    bars = axes.barh(labels[::-1], values[::-1], color=_colours(labels)[::-1])
    axes.bar_label(bars, fmt="%.4g", padding=3, fontsize=8)
    axes.margins(x=0.12)


def _tall(plot: Plot) -> tuple[float, float]:
    return _WIDE, 1.3 + _FRAME * flame_graphs.depth(plot.series)


def _shares(axes: Axes, plot: Plot) -> None:
    for (label, values), colour in zip(plot.series.items(), _colours(plot.series), strict=True):
        ordered = sorted(values)
        shares = [(place + 1) / len(ordered) for place in range(len(ordered))]
        axes.plot(ordered, shares, label=label, color=colour)
    axes.set_xlim(left=0)
    axes.legend(fontsize=8)


def _lines(axes: Axes, plot: Plot) -> None:
    for (label, points), colour in zip(plot.series.items(), _colours(plot.series), strict=True):
        axes.plot([x for x, _ in points], [y for _, y in points], label=label, color=colour)
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)


def _colours(labels: Any) -> Sequence[str]:
    ours, others = "#1b6ca8", ["#b4b4b4", "#d9a441", "#a4506b", "#7a9e5f", "#6b5b95"]
    return [ours, *(others[place % len(others)] for place in range(len(labels) - 1))]


def _flame(axes: Axes, plot: Plot) -> None:
    flame_graphs.draw(axes, plot.series)


_KINDS = {"bars": _bars, "shares": _shares, "lines": _lines, "flame": _flame}
