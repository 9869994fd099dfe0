"""Rounds of the product's own way and of the bare one, by turns, under the same load.

First the product makes jobs with all slots busy; then the bare copier gets its copies due at the
same distances at which the product's webhooks came.
"""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.probes import subprocesses
from benchmarks.probes.context import IMAGE_BYTES, SLOTS, Context
from benchmarks.probes.process_costs import cpu_seconds, spent
from benchmarks.product.deployment import Stage

_KEPT = "both ways"
_PROMPT = f"bytes={IMAGE_BYTES} seconds=0.5-1.5"


@dataclass
class Rounds:
    """Seconds of every copy and callback, by round, and CPU seconds in all."""

    our_copies: list[list[float]] = field(default_factory=list)
    #: Of ours: from the webhook's being sent to `succeeded`, manifest and record included.
    our_ends: list[list[float]] = field(default_factory=list)
    #: From `succeeded`, and from the answer to the image's PUT.
    our_callbacks: list[list[float]] = field(default_factory=list)
    our_late_callbacks: list[list[float]] = field(default_factory=list)
    bare_copies: list[list[float]] = field(default_factory=list)
    bare_callbacks: list[list[float]] = field(default_factory=list)
    #: Of ours: from the webhook's being sent to `storing`.
    receptions: list[float] = field(default_factory=list)
    our_cpu: dict[str, float] = field(default_factory=dict)
    bare_cpu: float = 0.0
    jobs: int = 0


def measure(context: Context) -> Rounds:
    """Return the rounds of this run, measured once."""
    if _KEPT not in context.kept:
        context.kept[_KEPT] = _measure(context)
    rounds: Rounds = context.kept[_KEPT]
    return rounds


def _measure(context: Context) -> Rounds:
    rounds = Rounds()
    count, times = context.pick(192, 24), context.pick(4, 1)
    context.say("starting the product")
    with Stage(slots=SLOTS, concurrency=SLOTS, far_storage=True) as stage:
        _one_round(stage, rounds, context.pick(72, 24))  # warms up
        rounds = Rounds()
        for turn in range(times):
            context.say(f"round {turn + 1} of {times}: ours, then bare")
            _one_round(stage, rounds, count)
    return rounds


def _one_round(stage: Stage, rounds: Rounds, count: int) -> None:
    stage.forget()
    before = cpu_seconds(stage.ours)
    jobs = stage.post(count, _PROMPT)
    stage.wait_ended(jobs, 60)
    for name, seconds in spent(before, cpu_seconds(stage.ours)).items():
        rounds.our_cpu[name] = rounds.our_cpu.get(name, 0.0) + seconds
    rounds.jobs += count
    sent = _book(stage, rounds, jobs)
    done = _bare(stage, sorted(sent))
    rounds.bare_cpu += done["cpu_seconds"]
    rounds.bare_copies.append([copy["put"] - copy["due"] for copy in done["copies"]])
    received = stage.books()["callbacks"]
    rounds.bare_callbacks.append([received[c["name"]] - c["put"] for c in done["copies"]])


def _book(stage: Stage, rounds: Rounds, jobs: list[str]) -> list[float]:
    """Note what the product took for these jobs; return when the webhook of each was sent."""
    books, ways, stored = stage.books(), stage.timelines(jobs), stage.stored_at(jobs)
    sent = [float(books["webhooks"][job][0]) for job in jobs]
    told = [float(books["callbacks"][job]) for job in jobs]
    ended = [way["succeeded"] for way in ways]
    rounds.our_copies.append(_between(sent, stored))
    rounds.our_ends.append(_between(sent, ended))
    rounds.our_callbacks.append(_between(ended, told))
    rounds.our_late_callbacks.append(_between(stored, told))
    rounds.receptions += _between(sent, [way["storing"] for way in ways])
    return sent


def _between(begun: list[float], ended: list[float]) -> list[float]:
    return [end - begin for begin, end in zip(begun, ended, strict=True)]


def _bare(stage: Stage, sent: list[float]) -> dict[str, Any]:
    order = {
        "offsets": [at - sent[0] for at in sent],
        "url": f"{stage.far_url}/results/{IMAGE_BYTES}/0/bare.png",
        "callback_url": f"{stage.far_url}/callbacks",
        "bucket": stage.stack.bucket,
        "threads": SLOTS,
    }
    aws = {name: value for name, value in stage.environment.items() if name.startswith("AWS_")}
    done: dict[str, Any] = subprocesses.ask(
        "benchmarks.floors.bare_copy", order, timeout=90, environment=aws
    )
    return done
