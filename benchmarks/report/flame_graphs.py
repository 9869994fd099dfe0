"""Draws a flame graph: each frame as wide as its part of the samples, callers below."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

#: Letters that fit into the whole width; a frame with room for fewer than `_LEAST` gets none.
_LETTERS: Final = 178
_LEAST: Final = 4
#: Colours by what a frame is of; the first part of its path, or the library's name, decides.
_KINDS: Final = (
    ("ours", "#8fbce6", ("core", "service", "worker")),
    ("the web server", "#f2c879", ("starlette", "uvicorn", "httptools")),
    (
        "HTTP to others, S3",
        "#e79f86",
        ("httpx", "httpcore", "boto3", "botocore", "urllib3", "http"),
    ),
    ("Redis and its queue", "#c3a6d8", ("redis", "rq", "hiredis")),
    ("pictures", "#a9cf9a", ("PIL",)),
)
_OTHERS: Final = ("Python and the rest", "#d9d9d9")


def depth(series: Mapping[str, list[Any]]) -> int:
    """Return how many frames lie on each other at most."""
    return max((stack.count(";") + 1 for stack in series), default=1)


def draw(axes: Axes, series: Mapping[str, list[Any]]) -> None:
    """Draw stacks (`outer;inner` -> samples)."""
    inside: Counter[tuple[str, ...]] = Counter()
    for stack, (samples, *_) in series.items():
        frames = tuple(stack.split(";")) if stack else ()
        for level in range(len(frames) + 1):
            inside[frames[:level]] += samples
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
    axes.set_ylim(0, depth(series))
    axes.set_yticks([])
    kinds = [(label, colour) for label, colour, _ in _KINDS] + [_OTHERS]
    patches = [Patch(facecolor=colour, label=label) for label, colour in kinds]
    axes.legend(handles=patches, fontsize=8, ncols=6, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def _frame(axes: Axes, frames: tuple[str, ...], left: float, width: float) -> None:
    place = (left, len(frames) - 1)
    colour = _colour(frames[-1])
    axes.add_patch(Rectangle(place, width, 1, facecolor=colour, edgecolor="white", linewidth=0.6))
    text = _fitting(frames[-1], f"{100 * width:.0f} %", int(width * _LETTERS))
    axes.text(left + 0.003, len(frames) - 0.5, text, fontsize=7, va="center", clip_on=True)


def _fitting(frame: str, share: str, room: int) -> str:
    """Return what fits: with its share, without its file, without its class, cut."""
    if room < _LEAST:
        return ""
    name = frame.partition(" (")[0]
    short = name.rpartition(".")[2]
    for text in (f"{frame} {share}", f"{name} {share}", name, short):
        if len(text) <= room:
            return text
    return f"{short[: room - 1]}…"


def _colour(frame: str) -> str:
    path = frame.rpartition("(")[2].rstrip(")")
    owner = path.partition("/")[0]
    return next((colour for _, colour, owners in _KINDS if owner in owners), _OTHERS[1])
