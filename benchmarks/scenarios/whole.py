"""Scenario 5: the whole way with the limit lifted, against RQ's own workers."""

import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from benchmarks.probes.context import IMAGE_BYTES, Context
from benchmarks.probes.process_costs import proportional_bytes
from benchmarks.product import worker_sets
from benchmarks.product.deployment import Deployment
from benchmarks.report.outcome import Outcome, Plot, Row, at_least
from benchmarks.report.statistics import median
from stack.servers.process import ManagedProcess

TITLE = "Whole way, limit lifted"
SECONDS = 300
CONCURRENCY = 32
ABOUT = f"""\
1,000 slots, instant generations, 1.5 MB PNGs, from the first POST to the last callback. Ours is \
one process per queue with {CONCURRENCY} threads. The others run the same step functions with the \
same clients under RQ's own classes (`benchmarks/floors/stock_worker.py`): the forking `Worker`, \
and `SimpleWorker` in a pool that may have as much memory (PSS) as our processes, and has one \
process per queue at least. For the tasks in flight the result's host holds each download for a \
second; what it saw at the same time counts, by the memory of the workers of that queue at that \
moment."""
_OURS, _FORK, _SIMPLE = "FluxRelay", "RQ Worker (forks)", "RQ SimpleWorker pool"
_GIGABYTE = 1e9

Workers = Callable[[], AbstractContextManager[list[ManagedProcess]]]


def run(context: Context) -> Outcome:
    """Measure it."""
    count, rounds = context.pick(150, 12), context.pick(2, 1)
    rates: dict[str, list[float]] = defaultdict(list)
    memory: dict[str, list[int]] = defaultdict(list)
    flying: dict[str, tuple[int, int]] = {}
    with Deployment(slots=1000, concurrency=CONCURRENCY, workers={"sweep": 1}) as deployment:
        choices: dict[str, Workers] = {
            _OURS: lambda: worker_sets.ours(deployment),
            _FORK: lambda: worker_sets.stock(
                deployment, "fork", dict.fromkeys(worker_sets.QUEUES, 1)
            ),
            _SIMPLE: lambda: worker_sets.stock(deployment, "simple", _affordable(memory)),
        }
        for turn in range(rounds):
            for label, workers in choices.items():
                context.say(f"round {turn + 1} of {rounds}: {label}")
                with workers() as processes:
                    few = count if label == _OURS else count // 3
                    rates[label].append(_rate(deployment, few))
                    memory[label].append(proportional_bytes(each.pid for each in processes))
                    if not turn:
                        flying[label] = _in_flight(deployment, processes, 2 * CONCURRENCY, label)
    return _outcome(rates, memory, flying)


def _affordable(memory: dict[str, list[int]]) -> dict[str, int]:
    """Return how many simple workers fit into our memory, by queue; collect needs most."""
    one = memory[_FORK][0] / len(worker_sets.QUEUES)
    most = max(len(worker_sets.QUEUES), round(memory[_OURS][0] / one))
    return {"submit": 1, "collect": most - 2, "notify": 1}


def _rate(deployment: Deployment, count: int) -> float:
    _finish(deployment, 8, f"bytes={IMAGE_BYTES} seconds=0")  # connections are made
    began = time.monotonic()
    _finish(deployment, count, f"bytes={IMAGE_BYTES} seconds=0")
    return count / (time.monotonic() - began)


def _finish(deployment: Deployment, count: int, prompt: str) -> None:
    deployment.wait_ended(deployment.post(count, prompt), 120)


def _in_flight(
    deployment: Deployment, processes: list[ManagedProcess], most: int, label: str
) -> tuple[int, int]:
    """Return the most downloads at a time, and the bytes that their workers held then."""
    deployment.forget()
    jobs = deployment.post(most if label == _OURS else 6, "bytes=100000 seconds=0 hold=1")
    copying = [each.pid for each in processes if "collect" in each.name]
    time.sleep(1.0)
    held = proportional_bytes(copying)
    deployment.wait_ended(jobs, 60)
    return int(deployment.books()["downloads_most"]), held


def _outcome(
    rates: dict[str, list[float]],
    memory: dict[str, list[int]],
    flying: dict[str, tuple[int, int]],
) -> Outcome:
    rate = {label: median(each) for label, each in rates.items()}
    dense = {label: count / held * _GIGABYTE for label, (count, held) in flying.items()}
    fast: dict[str, Any] = {"what": "images per second", "unit": "images/s", "ours": rate[_OURS]}
    tight: dict[str, Any] = {"what": "tasks in flight per GB", "unit": "", "ours": dense[_OURS]}
    rows = [
        at_least(3.0, against=rate[_FORK], other=_FORK, **fast),
        Row(against=rate[_SIMPLE], other=_SIMPLE, **fast),
        at_least(10.0, against=dense[_SIMPLE], other=_SIMPLE, **tight),
        Row(against=dense[_FORK], other=_FORK, **tight),
    ]
    table = [["workers", "memory of all (PSS, MB)", "in flight", "held by their workers (MB)"]]
    table += [
        [
            label,
            f"{median(memory[label]) / 1e6:.0f}",
            str(flying[label][0]),
            f"{flying[label][1] / 1e6:.0f}",
        ]
        for label in rates
    ]
    bars = Plot(
        kind="bars",
        title="Whole way, instant generation, 1.5 MB each",
        x="images per second",
        y="",
        series={label: [value] for label, value in rate.items()},
    )
    return Outcome(title=TITLE, about=ABOUT, rows=rows, plots=[bars], tables={"Memory": table})
