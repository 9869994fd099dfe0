"""Scenario 11: does a list of jobs slow down with the jobs that are kept?"""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

from benchmarks.probes import backlog_filler, subprocesses
from benchmarks.probes.context import SLOTS, Context
from benchmarks.product.deployment import NO_WORKERS, Deployment
from benchmarks.report.outcome import Outcome, Plot, Row, at_least
from benchmarks.report.statistics import median, turned
from core.jobs.index_names import metadata_index
from core.jobs.job import JobId
from core.operations.job_lists import Cursor

TITLE = "A list of 1,000,000 jobs"
SECONDS = 300
ABOUT = """\
Two products side by side, one with a million jobs and one with a thousand, measured by turns: \
pages of `GET /v1/jobs` per second over 4 connections, 20 jobs each, and Redis' own time of a page \
by INFO commandstats. No worker runs, so the jobs \
wait. They are written by `benchmarks/probes/backlog_filler.py`, with the entries of the indexes \
that the intake writes; a test compares them. The index by a value of metadata has a hundred jobs, \
from all over the list. An index's bytes are what `MEMORY USAGE` says of it, counting each entry."""
_FEW, _FULL = "1,000 jobs", "1,000,000 jobs"
_VALUE: Final = "1042"
#: Jobs of the index by a value of metadata.
_MARKED: Final = 100
_CONNECTIONS: Final = 4
_MOST_BYTES: Final = 400.0  # of both indexes that every job is in


class Seen(NamedTuple):
    """What was seen in one round."""

    #: Pages per second.
    rate: float
    #: Microseconds that the script of a page takes in Redis.
    script: float


def run(context: Context) -> Outcome:
    """Measure it."""
    counts = {_FEW: 1000, _FULL: context.pick(1_000_000, 2000)}
    seconds, rounds = context.pick(0.7, 0.3), context.pick(14, 1)
    seen: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    with ExitStack() as open_:
        context.say("starting two products")
        variables = {"FLUXRELAY_INDEXED_METADATA": "order"}
        deployments = {
            label: open_.enter_context(Deployment(workers=NO_WORKERS, variables=variables))
            for label in counts
        }
        paths: dict[str, Mapping[str, str]] = {}
        for label, deployment in deployments.items():
            context.say(f"writing {counts[label]:,} jobs")
            paths[label] = _fill(deployment, counts[label])
        for turn in range(rounds):
            context.say(f"round {turn + 1} of {rounds}")
            for what in paths[_FEW]:
                for label, deployment in turned(deployments.items(), turn):
                    seen[what, label].append(_pages(deployment, paths[label][what], seconds))
        sizes = _bytes_of_entries(deployments[_FULL])
    return _outcome(seen, list(paths[_FEW]), sizes)


def _fill(deployment: Deployment, count: int) -> Mapping[str, str]:
    """Write jobs like one that waits; return what to ask for, by what it is called."""
    redis: Any = deployment.redis
    posted = deployment.post(2 * SLOTS, "waits")
    model = next(job for job in posted if redis.hget(f"job:{job}", "status") == "queued")
    backlog_filler.fill(redis, model, count)
    backlog_filler.settle(redis)
    key = f"jobs:demo:{metadata_index('order', _VALUE)}"
    step = max(count // _MARKED, 1)
    redis.zadd(key, {backlog_filler.name(number): 0 for number in range(0, count, step)})
    name = redis.hget(f"job:{model}", "indexes").split()[0].removeprefix("model:")
    middle = Cursor(JobId(backlog_filler.name(count // 2)))
    return {
        "the newest jobs": "/v1/jobs",
        "from the middle of the list": f"/v1/jobs?cursor={middle}",
        "by status": "/v1/jobs?status=queued",
        "by model and status": f"/v1/jobs?model={name}&status=queued,failed",
        "by a value of metadata": f"/v1/jobs?metadata.order={_VALUE}",
    }


def _pages(deployment: Deployment, path: str, seconds: float) -> Seen:
    redis: Any = deployment.redis
    order = deployment.order("") | {"method": "GET", "body": "", "path": path}
    order |= {"seconds": seconds, "connections": _CONNECTIONS}
    redis.config_resetstat()
    seen = subprocesses.ask("benchmarks.probes.load_generator", order, timeout=seconds + 20)
    if set(seen["statuses"]) != {"200"}:
        raise ValueError(f"not only 200: {seen['statuses']}")
    script = redis.info("commandstats")["cmdstat_evalsha"]
    return Seen(float(seen["rate"]), float(script["usec_per_call"]))


def _bytes_of_entries(deployment: Deployment) -> dict[str, float]:
    """Return the bytes of one job's entry in each index that all jobs are in."""
    redis: Any = deployment.redis
    keys = {"status": "jobs:demo:status:queued", "model": "jobs:demo:model:flux-pro-1.1"}
    return {
        name: redis.memory_usage(key, samples=0) / redis.zcard(key) for name, key in keys.items()
    }


def _outcome(
    seen: Mapping[tuple[str, str], list[Seen]], whats: list[str], sizes: Mapping[str, float]
) -> Outcome:
    rates = {pair: median([one.rate for one in each]) for pair, each in seen.items()}
    scripts = {pair: median([one.script for one in each]) for pair, each in seen.items()}
    rows = []
    for what in whats:
        full, few = (what, _FULL), (what, _FEW)
        rate: dict[str, Any] = {"ours": rates[full], "against": rates[few], "unit": "per second"}
        rows.append(at_least(0.9, what=f"pages, {what}", other=_FEW, **rate))
        script: dict[str, Any] = {"ours": scripts[full], "against": scripts[few], "unit": "us"}
        rows.append(Row(what=f"Redis' time of a page, {what}", other=_FEW, **script))
    whole = sum(sizes.values())
    rows.append(
        Row(
            what="Redis memory of a job's entries in its indexes",
            ours=whole,
            unit="bytes",
            goal=f"≤ {_MOST_BYTES:.0f} bytes",
            met=whole <= _MOST_BYTES,
        )
    )
    bars = {f"{what}, {label}": [rates[what, label]] for what in whats for label in (_FULL, _FEW)}
    parts = "; ".join(f"{name}: {size:.0f}" for name, size in sizes.items())
    return Outcome(
        title=TITLE,
        about=ABOUT,
        rows=rows,
        notes=[f"Bytes of an entry, by index: {parts}. A key of metadata adds one such entry."],
        plots=[Plot(kind="bars", title=TITLE, x="pages per second", y="", series=bars)],
    )
