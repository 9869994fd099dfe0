"""Scenario 4: how fast are jobs taken in, each on disk before its 202?"""

from collections import defaultdict
from typing import Any

from benchmarks.probes import subprocesses
from benchmarks.probes.context import Context
from benchmarks.product.deployment import NO_WORKERS, Deployment
from benchmarks.report.outcome import Outcome, Plot, Row, at_least, at_most
from benchmarks.report.statistics import median, percentile, turned
from stack.servers.environment import child_environment
from stack.servers.ports import Ports

TITLE = "Intake with a durable 202"
SECONDS = 150
CONNECTIONS = 32
ABOUT = """\
32 connections from a load generator of its own (`benchmarks/probes/load_generator.py`), each of \
which sends the next request once it has its answer. Ours is `POST /v1/jobs` with a callback, with \
and without an `Idempotency-Key`; no worker runs. The floor is a Starlette handler that writes the \
body with one pipeline of HSET and WAITAOF (`benchmarks/floors/bare_intake.py`): the same uvicorn \
settings, one process each, the same Valkey with the same append-only file (`appendfsync always`). \
By turns; medians of the rounds. The generator is no bottleneck: the notes say what it reaches on \
a handler that does nothing."""
_PLAIN, _KEYED, _BARE = "FluxRelay", "FluxRelay with Idempotency-Key", "bare Starlette + Redis"


def run(context: Context) -> Outcome:
    """Measure it."""
    seconds, rounds = context.pick(2.5, 0.5), context.pick(6, 1)
    rates: dict[str, list[float]] = defaultdict(list)
    waits: dict[str, list[float]] = defaultdict(list)
    context.say("starting the service, and the bare handler")
    with Deployment(workers=NO_WORKERS) as deployment, Ports() as ports:
        orders = _orders(deployment, ports, seconds)
        for order in orders.values():  # warms up
            _load(order | {"seconds": min(seconds, 1.0)})
        for turn in range(rounds):
            context.say(f"round {turn + 1} of {rounds}")
            for label, order in turned(orders.items(), turn):
                seen = _load(order)
                rates[label].append(seen["rate"])
                waits[label] += seen["latencies"]
        context.say("the generator on a handler that does nothing")
        reach = _load(_trivial(deployment, ports) | {"seconds": seconds})["rate"]
    return _outcome(rates, waits, reach)


def _load(order: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = subprocesses.ask(
        "benchmarks.probes.load_generator", order, timeout=order["seconds"] + 20
    )
    if set(seen["statuses"]) != {"202"}:
        raise ValueError(f"not only 202: {seen['statuses']}")
    return seen


def _orders(deployment: Deployment, ports: Ports, seconds: float) -> dict[str, dict[str, Any]]:
    port = ports.take()
    bare = subprocesses.process(
        "bare-intake",
        ["benchmarks.floors.bare_intake", str(port)],
        deployment.folder / "bare-intake.log",
        subprocesses.listens(port),
        child_environment({"REDIS_URL": deployment.stack.valkey.url}),
    )
    deployment.adopt(bare)
    bare.start()
    bare.wait_ready()
    ours = deployment.order("a small job") | {"seconds": seconds, "connections": CONNECTIONS}
    return {_PLAIN: ours, _KEYED: ours | {"keyed": True}, _BARE: ours | {"port": port}}


def _trivial(deployment: Deployment, ports: Ports) -> dict[str, Any]:
    port = ports.take()
    log = deployment.folder / "trivial.log"
    trivial = subprocesses.server("trivial", ["benchmarks.floors.bare_http", str(port)], port, log)
    deployment.adopt(trivial)
    trivial.start()
    trivial.wait_ready()
    return deployment.order("a small job") | {"port": port, "connections": CONNECTIONS}


def _outcome(rates: dict[str, list[float]], waits: dict[str, list[float]], reach: float) -> Outcome:
    fastest = max(map(median, rates.values()))
    generator = Row(
        what="the generator's reach",
        ours=reach,
        against=fastest,
        unit="requests/s",
        other="the fastest above",
        goal="≥ 3 ×",
        met=reach >= 3 * fastest,
    )
    curves = {
        label: [round(1000 * each, 2) for each in sorted(values)[:: 1 + len(values) // 500]]
        for label, values in waits.items()
    }
    title = f"One request of {CONNECTIONS} at a time"
    return Outcome(
        title=TITLE,
        about=ABOUT,
        rows=[*_rows(rates, waits), generator],
        notes=[f"{len(values):,} requests: {label}." for label, values in waits.items()],
        plots=[Plot(kind="shares", title=title, x="ms", y="share of requests", series=curves)],
    )


def _rows(rates: dict[str, list[float]], waits: dict[str, list[float]]) -> list[Row]:
    rate = {label: median(each) for label, each in rates.items()}
    slow = {label: 1000 * percentile(each, 0.99) for label, each in waits.items()}
    rows = []
    for label, name in ((_PLAIN, "without key"), (_KEYED, "with key")):
        facts: dict[str, Any] = {"unit": "requests/s", "other": _BARE}
        fast = {"ours": rate[label], "against": rate[_BARE]}
        rows.append(at_least(0.8, what=f"rate, {name}", **fast, **facts))
        late = {"ours": slow[label], "against": slow[_BARE]}
        what = f"99th percentile, {name}"
        rows.append(at_most(2.0, what=what, **late, **(facts | {"unit": "ms"})))
    return rows
