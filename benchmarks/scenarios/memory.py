"""Scenario 7: does the copier's memory grow with the images?"""

from benchmarks.probes.context import SLOTS, Context
from benchmarks.probes.process_costs import forget_peak, peak_bytes
from benchmarks.product import worker_sets
from benchmarks.product.deployment import Deployment
from benchmarks.report.outcome import Outcome, Plot, at_most
from benchmarks.report.statistics import median, turned

TITLE = "Memory of the copier: 1 MB and 20 MB images"
SECONDS = 300
ABOUT = """\
200 copies (100 in the second round) with 24 at a time by one collect worker, once of 1 MB PNGs \
and once of 20 MB, by turns, each by a process that was just started and made 24 small copies \
before. What counts is the largest resident memory while they ran (`VmHWM`, after a write to \
`/proc/PID/clear_refs`)."""
_SMALL, _LARGE = 1_000_000, 20_000_000


def run(context: Context) -> Outcome:
    """Measure it."""
    count, rounds = context.pick(200, 8), context.pick(2, 1)
    large = context.pick(_LARGE, 5_000_000)
    peaks: dict[int, list[int]] = {_SMALL: [], large: []}
    with Deployment(slots=SLOTS, concurrency=SLOTS, workers={"sweep": 1}) as deployment:
        for turn in range(rounds):
            for size, seen in turned(peaks.items(), turn):
                context.say(f"round {turn + 1} of {rounds}: {size:,} bytes each")
                # The peak depends on how many are under way, not on how many there are.
                seen.append(_peak(deployment, size, count // (1 + turn)))
    small, big = (median(peaks[size]) / 1e6 for size in (_SMALL, large))
    row = at_most(
        1.2,
        what=f"peak with {large // 10**6} MB images",
        ours=big,
        against=small,
        unit="MB",
        other="with 1 MB images",
    )
    plot = Plot(
        kind="bars",
        title=f"Largest resident memory of the collect worker, {SLOTS} copies at a time",
        x="MB",
        y="",
        series={f"{size // 10**6} MB images": [median(peaks[size]) / 1e6] for size in peaks},
    )
    each = "; ".join(
        f"{size // 10**6} MB: {', '.join(f'{peak / 1e6:.0f}' for peak in seen)}"
        for size, seen in peaks.items()
    )
    return Outcome(
        title=TITLE, about=ABOUT, rows=[row], plots=[plot], notes=[f"Rounds, in MB: {each}."]
    )


def _peak(deployment: Deployment, size: int, count: int) -> int:
    with worker_sets.ours(deployment) as workers:
        (copier,) = (each.pid for each in workers if "collect" in each.name)
        warm = deployment.post(SLOTS, "bytes=100000 seconds=0", callback=False)
        deployment.wait_ended(warm, 30, told=False)
        forget_peak(copier)
        jobs = deployment.post(count, f"bytes={size} seconds=0", callback=False)
        deployment.wait_ended(jobs, 200, told=False)
        return peak_bytes(copier)
