"""Draws a flame graph: each frame as wide as its part of the samples, callers below."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

#: Frames narrower than this part of the whole get no name.
_NAMED = 0.045
_LETTERS = 150  # that fit into the whole width


def draw(axes: Axes, series: Mapping[str, list[Any]]) -> None:
    """Draw stacks (`outer;inner` -> samples)."""
    inside: Counter[tuple[str, ...]] = Counter()
    for stack, (samples, *_) in series.items():
        frames = tuple(stack.split(";")) if stack else ()
        for depth in range(len(frames) + 1):
            inside[frames[:depth]] += samples
    total = inside[()] or 1
    ends: dict[tuple[str, ...], float] = {(): 0.0}
    for frames in sorted(inside, key=lambda each: (len(each), each)):
        left = ends[frames[:-1]] if frames else 0.0
        width = inside[frames] / total
        ends[frames] = left
        if frames:
            ends[frames[:-1]] = left + width
            _frame(axes, frames, left, width)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, max(map(len, inside)))
    axes.set_yticks([])


def _frame(axes: Axes, frames: tuple[str, ...], left: float, width: float) -> None:
    name = frames[-1]
    shade = colormaps["YlOrRd"](0.25 + 0.4 * (sum(name.encode()) % 100) / 100)
    place = (left, len(frames) - 1)
    axes.add_patch(Rectangle(place, width, 1, facecolor=shade, edgecolor="white", linewidth=0.4))
    if width >= _NAMED:
        text = name[: int(width * _LETTERS)]
        axes.text(left + 0.003, len(frames) - 0.5, text, fontsize=5, va="center", clip_on=True)
