"""Scenario 9: more worker processes on one machine, and what a job costs the one Redis."""

import time
from collections import Counter, defaultdict

from benchmarks.probes.context import Context
from benchmarks.probes.redis_costs import Costs
from benchmarks.product import job_costs, worker_sets
from benchmarks.product.deployment import Deployment
from benchmarks.report.outcome import Outcome, Plot, Row
from benchmarks.report.statistics import median, turned

TITLE = "Scale on one machine, and one Redis' ceiling"
SECONDS = 180
ABOUT = """\
1,000 slots, instant generations, results of 100 kB, from the first POST to the last callback, \
with 1, 2 and 4 worker processes per queue, by turns. Then the costs of Redis for jobs with one \
process each: calls by INFO commandstats, round trips by the server's own count of reads from \
its sockets, seconds of its main thread; what the same processes cost while idle is taken off. \
The ceiling is that of a Redis which does nothing else and of whose core nobody takes any."""
_CREWS = (1, 2, 4)
_IDLE_SECONDS = 4.0


def run(context: Context) -> Outcome:
    """Measure it."""
    count, rounds = context.pick(240, 24), context.pick(2, 1)
    rates: dict[int, list[float]] = defaultdict(list)
    with Deployment(slots=1000, concurrency=16, workers={"sweep": 1}) as deployment:
        for turn in range(rounds):
            for each in turned(context.pick(_CREWS, (1, 2)), turn):
                context.say(f"round {turn + 1} of {rounds}: {each} processes per queue")
                with worker_sets.ours(deployment, each):
                    rates[each].append(_rate(deployment, count))
        context.say("what a job costs Redis")
        with worker_sets.ours(deployment):
            costs = job_costs.of_jobs(deployment, count, context.pick(_IDLE_SECONDS, 1.0))
    return _outcome(rates, costs, count)


def _rate(deployment: Deployment, count: int) -> float:
    deployment.wait_ended(deployment.post(16, job_costs.PROMPT), 30)  # connections are made
    began = time.monotonic()
    deployment.wait_ended(deployment.post(count, job_costs.PROMPT), 60)
    return count / (time.monotonic() - began)


def _outcome(rates: dict[int, list[float]], costs: Costs, count: int) -> Outcome:
    rate = {each: median(seen) for each, seen in rates.items()}
    cpu = 1000 * costs.cpu / count
    rows = [
        Row(
            what=f"images/s with {each} processes per queue",
            ours=value,
            against=rate[1],
            unit="images/s",
            other="with 1",
        )
        for each, value in rate.items()
        if each > 1
    ]
    calls = sum(costs.commands.values()) / count
    rows += [
        Row(what="Redis commands per job", ours=calls, unit="calls"),
        Row(what="round trips per job", ours=costs.reads / count, unit="reads"),
        Row(what="CPU of Redis per job", ours=cpu, unit="ms"),
        Row(what="ceiling of one Redis", ours=1000 / cpu if cpu else 0.0, unit="jobs/s"),
    ]
    table = [["command", "per job"], *_commands(costs.commands, count)]
    bars = {f"{each} per queue": [value] for each, value in rate.items()}
    return Outcome(
        title=TITLE,
        about=ABOUT,
        rows=rows,
        notes=["Where there are two cores, the processes of one workers fill them already."],
        plots=[Plot(kind="bars", title=TITLE, x="images per second", y="", series=bars)],
        tables={"Calls per job, those inside our scripts included": table},
    )


def _commands(commands: Counter[str], count: int) -> list[list[str]]:
    return [
        [name.upper(), f"{calls / count:.1f}"]
        for name, calls in commands.most_common()
        if calls / count >= 0.05
    ]
