"""Scenario 1: are the provider's slots ever idle while jobs wait?"""

import json
import sys
import time
from datetime import datetime
from typing import Any

import httpx

from benchmarks.peers.environments import PINS, NotInstalledError, python_of
from benchmarks.probes import http_wire, subprocesses
from benchmarks.probes.context import SLOTS, Context
from benchmarks.probes.load_generator import drive
from benchmarks.report.outcome import Outcome, Plot, Row, at_least
from benchmarks.report.statistics import MIDDLE, mean, steady_rate
from stack.options import StackOptions
from stack.stack import Stack

TITLE = "Slot use: 24 slots, 1 s generations"
SECONDS = 420
ABOUT = """\
Against the sandbox, which counts active tasks and answers 429 beyond 24, as the provider does. \
Ours has a backlog of 500 jobs; a peer makes its images in 24 threads, each of which downloads \
its image and starts the next. The rate is that of the middle half of the sandbox's ledger, \
counted by turns of a slot (`steady_rate` in `benchmarks/report/statistics.py`). The sandbox ends \
a task a few milliseconds late when it is busy; the ideal that this leaves is shown as well, and \
what a client reaches that only answers each webhook with the next POST. Ours copies each image \
into S3, which no other does."""
#: Label, environment, script.
PEERS = (
    ("polling loop as documented", "polling", "benchmarks/peers/polling.py"),
    ("the provider's client", "blackforest", "benchmarks/peers/sdk.py"),
    ("LiteLLM", "litellm", "benchmarks/peers/gateway.py"),
)
#: Does nothing but answer each webhook with the next POST; a floor, no peer.
_FLOOR = "a client that only answers webhooks"
_IDEAL = float(SLOTS)  # images per second
_SANDBOX = {"SANDBOX_IMAGE_SIDE": "24"}  # drawing must not be what is measured
_RELAY = {"FLUXRELAY_WORKER_CONCURRENCY": str(SLOTS)}


class Run:
    """What the sandbox's ledger says of the tasks made since `begin`."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        before = self._ledger()
        self._known, self._refused = len(before["tasks"]), before["rejections"]["429"]

    def _ledger(self) -> dict[str, Any]:
        url = f"{self._stack.sandbox_url}/sandbox/ledger"
        ledger: dict[str, Any] = httpx.get(url, timeout=30, trust_env=False).json()
        return ledger

    def wait(self, count: int, seconds: float) -> None:
        """Wait until so many tasks are made.

        Raises:
            TimeoutError: They are not in time.
        """
        give_up_at = time.monotonic() + seconds
        while True:
            # The ledger is long, and showing it stops the sandbox: rather wait than look.
            time.sleep(min(5.0, max(1.0, 0.9 * (count - self._made()) / _IDEAL)))
            if self._made() >= count:
                return
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{self._made()} of {count} tasks after {seconds:g} s")

    def _made(self) -> int:
        with self._stack.redis() as redis:
            return int(redis.hget("counters", "ended:succeeded") or 0) - self._at_first

    _at_first = 0

    def count_from(self, ended: int) -> None:
        """Set how many jobs had ended before."""
        self._at_first = ended

    def close(self) -> None:
        """Read the ledger."""
        after = self._ledger()
        tasks = after["tasks"][self._known :]
        self.begun = [_at(task["created_at"]) for task in tasks]
        self.ended = [_at(task["finished_at"]) for task in tasks]
        self.refused = after["rejections"]["429"] - self._refused

    @property
    def rate(self) -> float:
        """Images per second over the middle."""
        return steady_rate(self.ended, SLOTS)

    @property
    def held(self) -> float:
        """Seconds that the sandbox itself held a slot, over the middle."""
        first, last = (int(len(self.ended) * share) for share in MIDDLE)
        both = sorted(zip(self.ended, self.begun, strict=True))[first:last]
        return mean([end - begin for end, begin in both])

    def curve(self) -> list[list[float]]:
        """Return completions over time."""
        start = min(self.begun)
        return [[round(at - start, 3), n + 1] for n, at in enumerate(sorted(self.ended))]


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def run(context: Context) -> Outcome:
    """Measure it."""
    count, peers_count = context.pick(500, 60), context.pick(240, 60)
    rounds = context.pick(2, 1)
    interpreters, notes = _install(context)
    runs: dict[str, list[Run]] = {}
    options = StackOptions(relay_variables=_RELAY, sandbox_variables=_SANDBOX)
    with Stack(options) as stack:
        _ours(stack, SLOTS)  # warms up
        for turn in range(rounds):
            context.say(f"round {turn + 1} of {rounds}: FluxRelay, {count} jobs")
            runs.setdefault("FluxRelay", []).append(_ours(stack, count))
            context.say(f"round {turn + 1} of {rounds}: {_FLOOR}, {peers_count} images")
            floor, _ = _peer(stack, "benchmarks.floors.bare_slots", sys.executable, peers_count)
            runs.setdefault(_FLOOR, []).append(floor)
            for label, script, python in interpreters:
                context.say(f"round {turn + 1} of {rounds}: {label}, {peers_count} images")
                done, ends = _peer(stack, script, python, peers_count)
                if set(ends) != {"ok"}:
                    notes.append(_ended_badly(label, ends, len(done.ended)))
                if len(done.ended) > peers_count // 2:
                    runs.setdefault(label, []).append(done)
    return _outcome(runs, notes)


def _ended_badly(label: str, ends: dict[str, int], made: int) -> str:
    """Say what came of a peer's calls that did not give an image."""
    errors = "; ".join(f"{count} x {end}" for end, count in sorted(ends.items()) if end != "ok")
    return f"{label}: the provider made {made} images, but calls ended with an error: {errors}."


def _install(context: Context) -> tuple[list[tuple[str, str, str]], list[str]]:
    found, notes = [], []
    for label, name, script in PEERS:
        context.say(f"installing {', '.join(PINS[name])}, unless it is there")
        try:
            python = str(python_of(name, context.peers))
        except NotInstalledError as error:
            notes.append(f"{label} could not be installed: {error}")
            continue
        found.append((f"{label} ({PINS[name][0]})", script, python))
    return found, notes


def _ours(stack: Stack, count: int) -> Run:
    done = Run(stack)
    with stack.redis() as redis:
        done.count_from(int(redis.hget("counters", "ended:succeeded") or 0))
    port = int(stack.service_url.rpartition(":")[2])
    small = {"prompt": "a slot", "width": 256, "height": 256}
    body = json.dumps({"model": "flux-pro-1.1", "input": small}).encode()
    key = f"Bearer {stack.api_key}"
    raw = http_wire.request("POST", "/v1/jobs", f"127.0.0.1:{port}", body, authorization=key)
    answers = drive(port, (raw for _ in range(count)), 8)
    if any(answer.status != 202 for answer in answers):
        raise ValueError(f"a job was refused: {answers[-1].body!r}")
    done.wait(count, 60 + count / 10)
    done.close()
    return done


def _peer(stack: Stack, script: str, python: str, count: int) -> tuple[Run, dict[str, int]]:
    done = Run(stack)
    order = {
        "url": stack.sandbox_url,
        "key": stack.credentials.provider_key,
        "threads": SLOTS,
        "count": count,
    }
    ends: dict[str, int] = subprocesses.ask(script, order, timeout=60 + count / 4, python=python)
    done.close()
    return done, ends


def _outcome(runs: dict[str, list[Run]], notes: list[str]) -> Outcome:
    rates = {label: mean([run.rate for run in done]) for label, done in runs.items()}
    ours = runs["FluxRelay"]
    held = mean([run.held for run in ours])
    refused = sum(run.refused for run in ours)
    facts: dict[str, Any] = {"ours": rates["FluxRelay"], "unit": "images/s"}
    rows = [
        at_least(0.99, what="rate over the middle", against=_IDEAL, other="the ideal", **facts),
        Row(
            what="rate over the middle",
            against=SLOTS / held,
            other="what the sandbox's own turns allow",
            **facts,
        ),
        Row(what="rate over the middle", against=rates[_FLOOR], other=_FLOOR, **facts),
        Row(what="answers 429", ours=refused, unit="", goal="0", met=refused == 0),
    ]
    rows += [
        Row(
            what="rate over the middle",
            against=rate,
            other=label,
            goal="> 1 ×",
            met=rates["FluxRelay"] > rate,
            **facts,
        )
        for label, rate in rates.items()
        if label not in ("FluxRelay", _FLOOR)
    ]
    refusals = {label: sum(run.refused for run in done) for label, done in runs.items()}
    notes = list(dict.fromkeys(notes))
    notes.append(f"The sandbox held a slot of ours for {held:.3f} s (mean); ideal: 1 s.")
    notes.append(f"429 answers: {', '.join(f'{label} {n}' for label, n in refusals.items())}.")
    curve = {label: done[0].curve() for label, done in runs.items()}
    plot = Plot(
        kind="lines", title="Images made, first round", x="seconds", y="images", series=curve
    )
    return Outcome(title=TITLE, about=ABOUT, rows=rows, notes=notes, plots=[plot])
