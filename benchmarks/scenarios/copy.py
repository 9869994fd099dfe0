"""Scenario 2: from the provider's webhook to the image in the bucket."""

from typing import Any

from benchmarks.probes.context import SLOTS, Context
from benchmarks.product import alternating
from benchmarks.report.outcome import Outcome, Plot, Row, at_most
from benchmarks.report.statistics import median, percentile

TITLE = "Result ready → object in S3"
SECONDS = 150
ABOUT = """\
1.5 MB PNGs with all 24 slots busy (generations of 0.5 to 1.5 s). Ours counts from the moment the \
provider sends its webhook to the answer to the image's PUT, which the manifest beside it states; \
so it holds the webhook's reception with its fsync, the queue, the download, the checks, and the \
PUT. To the status `succeeded` there is the manifest's PUT and the record as well. The floor is \
one process with 24 threads, one `httpx.Client` and one boto3 client: download, `put_object`, \
nothing else. Its copies are due at the distances at which our webhooks came in the round before, \
so both carry the same load, by turns."""


def run(context: Context) -> Outcome:
    """Measure it."""
    rounds = alternating.measure(context)
    ours = [1000 * each for seconds in rounds.our_copies for each in seconds]
    bare = [1000 * each for seconds in rounds.bare_copies for each in seconds]
    reception = 1000 * median(rounds.receptions)
    return Outcome(
        title=TITLE,
        about=ABOUT,
        rows=_rows(rounds, percentile(ours, 0.99), percentile(bare, 0.99)),
        notes=[
            f"{len(ours)} copies of ours, {len(bare)} bare ones; median of the rounds' medians.",
            f"From the webhook's being sent to the status `storing`: {reception:.1f} ms (median).",
        ],
        plots=[
            Plot(
                kind="shares",
                title=f"One copy of 1.5 MB, {SLOTS} slots busy",
                x="milliseconds",
                y="share of copies",
                series={"FluxRelay": ours, "bare httpx + boto3": bare},
            )
        ],
    )


def _rows(rounds: alternating.Rounds, ours: float, bare: float) -> list[Row]:
    """Return the table; `ours` and `bare` are the 99th percentiles."""
    facts: dict[str, Any] = {"unit": "ms", "other": "bare httpx + boto3"}
    stored, ended, floor = (
        1000 * median(list(map(median, each)))
        for each in (rounds.our_copies, rounds.our_ends, rounds.bare_copies)
    )
    return [
        at_most(1.15, what="median", ours=stored, against=floor, **facts),
        at_most(2.0, what="99th percentile", ours=ours, against=bare, **facts),
        Row(what="median, to `succeeded`", ours=ended, against=floor, **facts),
    ]
