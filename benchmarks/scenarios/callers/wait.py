"""Scenario 12: thousands of requests that wait for jobs, in one process."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import psutil

from benchmarks.probes import process_costs
from benchmarks.probes.context import Context
from benchmarks.product.deployment import NO_WORKERS, Deployment
from benchmarks.report.outcome import Outcome, Plot, Row
from benchmarks.report.statistics import median, percentile
from core.jobs.job import JobId
from core.operations.cancellation import cancel
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from stack.servers.environment import child_environment
from stack.servers.fluxrelay import SOURCE_ROOT

TITLE = "5,000 requests that wait"
SECONDS = 150
ABOUT = """\
Each of 5,000 connections sends `GET /v1/jobs/{id}?wait=60` for a job of its own to one service \
process; the clients are in two other processes. The memory is that process's (PSS) with all of \
them waiting, less that before. Then jobs end, 100 per second, and the time is taken from before \
the call that ends a job (a script in Redis and its fsync) until the answer has come to its \
client. No worker runs."""
_PROCESSES: Final = 2
_ENDS_PER_SECOND: Final = 100.0
_MOST_MB, _MOST_MS = 100.0, 50.0
#: Share of a core below which a process is at rest.
_AT_REST: Final = 0.05


def run(context: Context) -> Outcome:
    """Measure it."""
    waiters, ends = context.pick(5000, 100), context.pick(1000, 20)
    variables = {"FLUXRELAY_MAX_CONNECTIONS": "12000", "FLUXRELAY_MAX_WAITERS": "6000"}
    with Deployment(workers=NO_WORKERS, variables=variables) as deployment:
        context.say(f"posting {waiters} jobs")
        jobs = deployment.post(waiters, "is waited for", callback=False)
        service = deployment.ours["service"]
        before = process_costs.proportional_bytes([service])
        context.say(f"{waiters} requests begin to wait")
        clients = [
            _client(deployment, jobs[number::_PROCESSES], len(jobs[number:ends:_PROCESSES]))
            for number in range(_PROCESSES)
        ]
        try:
            for client in clients:
                _line(client)
            _rest(service)
            held = process_costs.proportional_bytes([service]) - before
            context.say(f"{ends} of the jobs end")
            began = _end(deployment, jobs[:ends])
            came: dict[str, float] = {}
            for client in clients:
                came |= json.loads(_line(client))
        finally:
            for client in clients:
                client.kill()
                client.communicate()
    return _outcome([came[job] - at for job, at in began.items()], held, waiters)


def _client(deployment: Deployment, jobs: Sequence[str], answers: int) -> "subprocess.Popen[str]":
    """Start a process of clients."""
    client = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.probes.waiting_clients"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_environment({}),
        cwd=SOURCE_ROOT,
        text=True,
    )
    order = {
        "jobs": list(jobs),
        "answers": answers,
        "port": deployment.port,
        "key": deployment.stack.api_key,
    }
    if client.stdin:
        client.stdin.write(json.dumps(order) + "\n")
        client.stdin.flush()
    return client


def _line(client: "subprocess.Popen[str]") -> str:
    line = client.stdout.readline() if client.stdout else ""
    if not line:
        raise ValueError("a process of clients has ended")
    return line


def _rest(pid: int) -> None:
    """Wait until a process has nothing to do: then all requests wait."""
    process: Any = psutil.Process(pid)
    process.cpu_percent()
    while True:
        time.sleep(0.5)
        if process.cpu_percent() / 100 < _AT_REST:
            return


def _end(deployment: Deployment, jobs: Sequence[str]) -> dict[str, float]:
    """End jobs at a steady pace; return when each was begun to be ended."""
    settings = Settings.from_env(deployment.environment, WORKER)
    redis = connect(settings)
    store, began = JobStore(redis, settings), {}
    first = time.monotonic()
    for number, job in enumerate(jobs):
        time.sleep(max(0.0, first + number / _ENDS_PER_SECOND - time.monotonic()))
        began[job] = time.monotonic()
        cancel(store, JobId(job))
    redis.close()
    return began


def _outcome(seconds: Sequence[float], held: int, waiters: int) -> Outcome:
    times = [1000 * one for one in seconds]
    middle, memory = median(times), held / 1e6
    rows = [
        Row(
            what=f"memory of {waiters:,} waiting requests",
            ours=memory,
            unit="MB",
            goal=f"≤ {_MOST_MB:g} MB",
            met=memory <= _MOST_MB,
        ),
        Row(
            what="median, from the end to the answer",
            ours=middle,
            unit="ms",
            goal=f"≤ {_MOST_MS:g} ms",
            met=middle <= _MOST_MS,
        ),
        Row(
            what="99th percentile, from the end to the answer",
            ours=percentile(times, 0.99),
            unit="ms",
        ),
    ]
    plot = Plot(
        kind="shares",
        title=TITLE,
        x="ms from the end to the answer",
        y="share of requests",
        series={"ours": times},
    )
    return Outcome(title=TITLE, about=ABOUT, rows=rows, plots=[plot])
