"""Scenario 3: from the image in the bucket to the callback at its receiver."""

from typing import Any

from benchmarks.probes.context import Context
from benchmarks.product import alternating
from benchmarks.report.outcome import Outcome, Plot, Row, at_most
from benchmarks.report.statistics import median, percentile

TITLE = "Object in S3 → callback received"
SECONDS = 150
ABOUT = """\
In the same rounds as the copies: from the answer to the image's PUT, and from the status \
`succeeded`, to the moment at which the receiver has read the callback. Between the two lie the \
manifest's PUT and the record, which no bare copy has. Ours is a task of its own in another \
process, signed, with the job in its body. The floor is a POST of 1,200 bytes by the bare copier \
right after its PUT, over a connection that is kept alive, to the same receiver under the same \
load."""


def run(context: Context) -> Outcome:
    """Measure it."""
    rounds = alternating.measure(context)
    ours = [each for seconds in rounds.our_callbacks for each in seconds]
    bare = [each for seconds in rounds.bare_callbacks for each in seconds]
    late, middle, floor = (
        1000 * median(list(map(median, each)))
        for each in (rounds.our_late_callbacks, rounds.our_callbacks, rounds.bare_callbacks)
    )
    facts: dict[str, Any] = {"unit": "ms", "other": "bare httpx POST"}
    return Outcome(
        title=TITLE,
        about=ABOUT,
        rows=[
            at_most(3.0, what="median, from the image's PUT", ours=late, against=floor, **facts),
            at_most(3.0, what="median, from `succeeded`", ours=middle, against=floor, **facts),
            Row(
                what="99th percentile, from `succeeded`",
                ours=1000 * percentile(ours, 0.99),
                against=1000 * percentile(bare, 0.99),
                **facts,
            ),
        ],
        notes=["Our record has milliseconds, so that ours is right to half of one."],
        plots=[
            Plot(
                kind="shares",
                title="One callback",
                x="milliseconds",
                y="share of callbacks",
                series={
                    "FluxRelay": [1000 * each for each in ours],
                    "bare httpx POST": [1000 * each for each in bare],
                },
            )
        ],
    )
