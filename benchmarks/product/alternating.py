"""Rounds of the product's own way and of the bare one, by turns, under the same load.

First the product makes jobs with all slots busy; then the bare copier gets its copies due at the
same distances at which the product's webhooks came.
"""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.probes import subprocesses
from benchmarks.probes.context import IMAGE_BYTES, SLOTS, Context
from benchmarks.probes.process_costs import cpu_seconds, spent
from benchmarks.product.deployment import Deployment

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
    with Deployment(slots=SLOTS, concurrency=SLOTS, storage_in_memory=True) as deployment:
        _one_round(deployment, rounds, context.pick(72, 24))  # warms up
        rounds = Rounds()
        for turn in range(times):
            context.say(f"round {turn + 1} of {times}: ours, then bare")
            _one_round(deployment, rounds, count)
    return rounds


def _one_round(deployment: Deployment, rounds: Rounds, count: int) -> None:
    deployment.forget()
    before = cpu_seconds(deployment.ours)
    jobs = deployment.post(count, _PROMPT)
    deployment.wait_ended(jobs, 60)
    for name, seconds in spent(before, cpu_seconds(deployment.ours)).items():
        rounds.our_cpu[name] = rounds.our_cpu.get(name, 0.0) + seconds
    rounds.jobs += count
    sent = _book(deployment, rounds, jobs)
    done = _bare(deployment, sorted(sent))
    rounds.bare_cpu += done["cpu_seconds"]
    rounds.bare_copies.append([copy["put"] - copy["due"] for copy in done["copies"]])
    received = deployment.books()["callbacks"]
    rounds.bare_callbacks.append([received[c["name"]] - c["put"] for c in done["copies"]])


def _book(deployment: Deployment, rounds: Rounds, jobs: list[str]) -> list[float]:
    """Note what the product took for these jobs; return when the webhook of each was sent."""
    books, ways, stored = deployment.books(), deployment.timelines(jobs), deployment.stored_at(jobs)
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


def _bare(deployment: Deployment, sent: list[float]) -> dict[str, Any]:
    order = {
        "offsets": [at - sent[0] for at in sent],
        "url": f"{deployment.fake_url}/results/{IMAGE_BYTES}/0/bare.png",
        "callback_url": f"{deployment.fake_url}/callbacks",
        "bucket": deployment.stack.bucket,
        "threads": SLOTS,
    }
    aws = {name: value for name, value in deployment.environment.items() if name.startswith("AWS_")}
    done: dict[str, Any] = subprocesses.ask(
        "benchmarks.floors.bare_copy", order, timeout=90, environment=aws
    )
    return done
