"""Scenario 8: does a long backlog slow anything down?"""

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

from benchmarks.probes import backlog_filler, subprocesses
from benchmarks.probes.context import SLOTS, Context
from benchmarks.product.deployment import NO_WORKERS, Deployment
from benchmarks.report.outcome import Outcome, Plot, Row, at_least
from benchmarks.report.statistics import median, turned
from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.redis.change import Change
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings

TITLE = "A backlog of 1,000,000 jobs"
SECONDS = 300
ABOUT = """\
Two products side by side, one with a million jobs that wait and one with a few thousand, measured \
by turns. No worker runs. Intake is posted over 16 connections. Dispatch is one client that says \
of each job that holds a slot that its result is ready, as a webhook does: the script frees the \
slot, grants it to the job that waits longest and enqueues two tasks; the short backlog is filled \
up again before. Backlogs are written by `benchmarks/probes/backlog_filler.py`, which writes what \
the intake writes; a test compares the two."""
_EMPTY, _FULL = "a few thousand waiting", "1,000,000 waiting"
#: Jobs that wait at least when a measurement begins, and that a dispatch takes at most: where none
#: waits any more, no slot is granted.
_FEW, _MOST_TAKEN = 5000, 4000
_MOST_BYTES = 1500.0  # per waiting job


def run(context: Context) -> Outcome:
    """Measure it."""
    count, seconds, rounds = (
        context.pick(1_000_000, 2000), context.pick(1.5, 0.4), context.pick(6, 1),
    )  # fmt: skip
    seen: dict[tuple[str, str], list[float]] = defaultdict(list)
    with ExitStack() as open_:
        context.say("starting two products")
        deployments = {
            label: open_.enter_context(Deployment(workers=NO_WORKERS)) for label in (_EMPTY, _FULL)
        }
        models = {label: _waiting(deployment) for label, deployment in deployments.items()}
        context.say(f"filling the backlog with {count:,} jobs")
        filled = _fill(deployments[_FULL], models[_FULL], count)
        for turn in range(rounds):
            context.say(f"round {turn + 1} of {rounds}: intake, dispatch, reading")
            for what, measure in _MEASURES.items():
                for label, deployment in turned(deployments.items(), turn):
                    _fill_up(deployment, models[label])
                    seen[what, label].append(measure(deployment, models[label], seconds))
    return _outcome(seen, filled, count)


def _waiting(deployment: Deployment) -> str:
    """Return a job that waits."""
    posted = deployment.post(2 * SLOTS, "waits")
    return next(job for job in posted if deployment.redis.hget(f"job:{job}", "status") == "queued")


def _fill_up(deployment: Deployment, model: str) -> None:
    """Have a few thousand jobs wait, if fewer do; `model` need not be among them any more."""
    redis: Any = deployment.redis
    backlog = f"backlog:{redis.hget(f'job:{model}', 'lane')}"
    missing = _FEW - redis.zcard(backlog)
    if missing > 0:
        # None has had a number as large as the count of all jobs so far.
        begin = int(redis.hget("counters", "accepted"))
        backlog_filler.fill(redis, redis.zrange(backlog, -1, -1)[0], missing, begin=begin)


def _fill(deployment: Deployment, model: str, count: int) -> dict[str, float]:
    """Fill, wait until Redis has put its file in order, and return what it cost."""
    before = deployment.redis.info("memory")["used_memory"]
    began = time.monotonic()
    backlog_filler.fill(deployment.redis, model, count)
    lasted = time.monotonic() - began
    backlog_filler.settle(deployment.redis)
    after = deployment.redis.info("memory")["used_memory"]
    return {"seconds": lasted, "bytes": (after - before) / count}


def _intake(deployment: Deployment, _model: str, seconds: float) -> float:
    order = deployment.order("waits, too") | {"seconds": seconds, "connections": 16}
    return _rate(order, "202")


def _page(deployment: Deployment, path: str, seconds: float) -> float:
    order = deployment.order("") | {"method": "GET", "body": "", "path": path}
    return _rate(order | {"seconds": seconds / 2, "connections": 4}, "200")


def _rate(order: dict[str, Any], status: str) -> float:
    seen = subprocesses.ask(
        "benchmarks.probes.load_generator", order, timeout=order["seconds"] + 20
    )
    if set(seen["statuses"]) != {status}:
        raise ValueError(f"not only {status}: {seen['statuses']}")
    return float(seen["rate"])


def _dispatch(deployment: Deployment, _model: str, seconds: float) -> float:
    """Return grants per second."""
    settings = Settings.from_env(deployment.environment, WORKER)
    client = connect(settings)
    store, slots = JobStore(client, settings), f"slots:{settings.accounts[0].name}"
    done, spent = 0, 0.0
    try:
        while spent < seconds and done < _MOST_TAKEN:
            holders = client.zrange(slots, 0, -1)
            began = time.perf_counter()
            for job in holders:
                done += store.move(JobId(str(job)), Status.STORING, _ready(time.time()))
            spent += time.perf_counter() - began
            if not holders:
                raise ValueError("no job holds a slot")
    finally:
        client.close()
    return done / spent


def _ready(now: float) -> Change:
    url = "http://127.0.0.1/sample.png"
    return Change(set={"result_url": url, "result_expires_at": now + 600}, wake=[Step.COLLECT])


_MEASURES: Final[dict[str, Callable[[Deployment, str, float], float]]] = {
    "intake": _intake,
    "dispatch": _dispatch,
    "GET /v1/jobs/{id}": lambda deployment, model, seconds: _page(
        deployment, f"/v1/jobs/{model}", seconds
    ),
    "GET /v1/jobs": lambda deployment, _model, seconds: _page(deployment, "/v1/jobs", seconds),
    "GET /v1/dead-letters": lambda deployment, _model, seconds: _page(
        deployment, "/v1/dead-letters", seconds
    ),
}


def _outcome(
    seen: dict[tuple[str, str], list[float]], filled: dict[str, float], count: int
) -> Outcome:
    rows = [
        at_least(
            0.9,
            what=what,
            ours=median(seen[what, _FULL]),
            against=median(seen[what, _EMPTY]),
            unit="per second",
            other=_EMPTY,
        )
        for what in _MEASURES
    ]
    rows.append(
        Row(
            what="Redis memory per waiting job",
            ours=filled["bytes"],
            unit="bytes",
            goal=f"≤ {_MOST_BYTES:,.0f} bytes",
            met=filled["bytes"] <= _MOST_BYTES,
        )
    )
    bars = {
        f"{what}, {label}": [median(seen[what, label])]
        for what in ("intake", "dispatch")
        for label in (_FULL, _EMPTY)
    }
    return Outcome(
        title=TITLE,
        about=ABOUT,
        rows=rows,
        notes=[f"{count:,} jobs were filled in within {filled['seconds']:.0f} s."],
        plots=[Plot(kind="bars", title=TITLE, x="per second", y="", series=bars)],
    )
