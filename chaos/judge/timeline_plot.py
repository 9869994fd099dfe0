"""The plot of a run: jobs by status over time, the intake rate, and the downtimes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from chaos.judge.verdict import Verdict
from chaos.plan.plan import TARGETS, Plan

#: Status -> colour, in stacking order; also distinct in lightness, for colour-blind readers.
_COLOURS: Final = {
    "succeeded": "#a8d5ba",
    "failed": "#c0392b",
    "canceled": "#8073ac",
    "storing": "#1b7837",
    "generating": "#f1a340",
    "submitting": "#2166ac",
    "queued": "#b2b2b2",
}
_UNDER_WAY: Final = ("storing", "generating", "submitting", "queued")
_LANES: Final = dict(zip(TARGETS, (
    "#d7301f", "#2166ac", "#1b7837", "#762a83", "#8c510a", "#000000", "#01665e", "#7f7f7f",
), strict=True))  # fmt: skip
_SAMPLES: Final = 600


def draw(path: Path, plan: Plan, verdict: Verdict) -> None:
    """Write the plot as PNG."""
    figure = Figure(figsize=(13, 10), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(4, 1, sharex=True, height_ratios=(4, 3, 1.6, 2.6))
    end, times = _times(verdict)
    series = _series(verdict, times)
    _all_jobs(panels[0], times, series)
    _under_way(panels[1], times, series)
    _pace(panels[2], verdict, end)
    _deaths(panels[3], verdict)
    for panel in panels:
        panel.margins(x=0)
        panel.spines[["top", "right"]].set_visible(False)
        panel.axvline(plan.seconds, color="#555555", linewidth=0.8, linestyle=":")
    panels[0].set_xlim(0, end)
    panels[-1].set_xlabel("seconds since the start; dotted: the last job is sent")
    figure.suptitle(_title(plan, verdict), x=0.01, ha="left", fontsize=13)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _title(plan: Plan, verdict: Verdict) -> str:
    counts = verdict.counts
    held = "no rule broken"
    if not verdict.holds:
        held = f"{sum(verdict.broken.values())} RULES BROKEN" if verdict.findings else "NOT IN TIME"
    return (
        f"FluxRelay under chaos, seed {plan.seed}: {counts['accepted']:,} jobs accepted, "
        f"{counts['kills']} kills, {held}"
    )


def _moves(verdict: Verdict) -> list[list[tuple[float, str]]]:
    """Return each job's statuses with the seconds at which they began."""
    return [
        [
            (datetime.fromisoformat(step["at"]).timestamp() - verdict.began_at, step["status"])
            for step in case.view["timeline"]
        ]
        for case in verdict.trial.cases
        if case.view
    ]


def _times(verdict: Verdict) -> tuple[float, list[float]]:
    ends = [moves[-1][0] for moves in _moves(verdict)] + [
        death.back_at - verdict.began_at for death in verdict.deaths
    ]
    end = max(ends, default=1.0) + 2.0
    return end, [end * step / _SAMPLES for step in range(_SAMPLES + 1)]


def _series(verdict: Verdict, times: Sequence[float]) -> Mapping[str, list[int]]:
    """Return the number of jobs in each status at each time."""
    changes: list[tuple[float, str, int]] = []
    for moves in _moves(verdict):
        for number, (at, status) in enumerate(moves):
            changes.append((at, status, 1))
            if number:
                changes.append((at, moves[number - 1][1], -1))
    changes.sort()
    series: dict[str, list[int]] = {status: [] for status in _COLOURS}
    standing: Counter[str] = Counter()
    done = 0
    for time in times:
        while done < len(changes) and changes[done][0] <= time:
            _, status, step = changes[done]
            standing[status] += step
            done += 1
        for status, counts in series.items():
            counts.append(standing[status])
    return series


def _stack(
    panel: Axes, times: Sequence[float], series: Mapping[str, list[int]], names: Sequence[str]
) -> None:
    panel.stackplot(
        times,
        [series[name] for name in names],
        colors=[_COLOURS[name] for name in names],
        labels=names,
        linewidth=0,
    )
    handles, labels = panel.get_legend_handles_labels()
    panel.legend(
        handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False
    )


def _all_jobs(panel: Axes, times: Sequence[float], series: Mapping[str, list[int]]) -> None:
    _stack(panel, times, series, list(_COLOURS))
    panel.set_ylabel("all jobs")


def _under_way(panel: Axes, times: Sequence[float], series: Mapping[str, list[int]]) -> None:
    _stack(panel, times, series, _UNDER_WAY)
    panel.set_ylabel("jobs under way")


def _pace(panel: Axes, verdict: Verdict, end: float) -> None:
    accepted = [
        intake.accepted_at - verdict.began_at
        for intake in verdict.trial.evidence.intakes
        if intake.accepted_at
    ]
    panel.hist(accepted, bins=max(1, int(end)), range=(0, max(1, int(end))), color="#2166ac")
    panel.set_ylabel("202s per second")


def _deaths(panel: Axes, verdict: Verdict) -> None:
    names = list(_LANES)
    others = sorted({death.target for death in verdict.deaths} - set(names))
    lanes = names + others
    for death in verdict.deaths:
        lane = lanes.index(death.target)
        colour = _LANES.get(death.target, "#ff00ff")
        at = death.at - verdict.began_at
        panel.barh(lane, death.back_at - death.at, left=at, height=0.55, color=colour)
        panel.plot(at, lane, marker="|", markersize=9, color=colour)
    kills = verdict.kills
    labels = [f"{name}  {kills.get(name, 0)} times" for name in lanes]
    panel.set_yticks(range(len(lanes)), labels)
    panel.set_ylim(len(lanes) - 0.4, -0.6)
    for label, name in zip(panel.get_yticklabels(), lanes, strict=True):
        label.set_color(_LANES.get(name, "#ff00ff"))
    panel.set_ylabel("killed, and gone for")
