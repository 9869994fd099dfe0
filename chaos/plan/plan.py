"""The plan of a run: when each job is sent, which faults it meets, and what is killed when.

It follows from the number of jobs and the seed alone, so a run can be repeated, though never with
the same interleaving.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from chaos.plan.faults import CHANCES, JOB_FAULTS, OF_DRAFTS, OF_VIDEOS, prompt_marker
from chaos.plan.job_orders import KINDS, Kind

#: Jobs sent per second, on average.
RATE: Final = 7.0
_SHORTEST: Final = 20.0  # minimum duration in seconds, so that there is time to kill everything
#: The processes to kill, with relative frequencies.
TARGETS: Final = {
    "service": 3.0,
    "worker.submit": 3.0,
    "worker.collect": 3.0,
    "worker.notify": 2.0,
    "worker.sweep": 2.0,
    "valkey": 1.5,
    "seaweedfs": 1.0,
    "receiver": 1.0,  # the callers' receiver: stopped and restarted
}
#: Minimum seconds between a process's start and its next kill: starting takes two seconds or more,
#: and Valkey reads a growing file.
_REST: Final = dict.fromkeys(TARGETS, 4.5) | {"valkey": 8.0, "seaweedfs": 14.0, "receiver": 8.0}
_FIRST_KILL: Final = 1.0
_GAPS: Final = (0.5, 2.8)
#: Kills come in waves with pauses in which everything comes back: a machine that only starts
#: processes proves nothing, and results expire meanwhile.
_WAVE: Final = 20.0
_PAUSE: Final = 8.0
_DOWN: Final = (0.1, 2.5)
_LONG_DOWN: Final = (2.5, 5.0)
#: Part of the jobs that are canceled, and up to how many seconds after their 202: some are queued
#: then, some being submitted, generated or stored, and some have ended.
_CANCELED: Final = 0.1
_LATEST_CANCEL: Final = 2.5
_USUAL_CANCEL: Final = 0.4
#: Every so many jobs, so many of them are sent as one batch.
_BATCH_EVERY: Final = 40
_BATCH: Final = 8
_FIRST_BATCHED: Final = 10
#: Number of processes killed at once, with probabilities.
_AT_ONCE: Final = ((1, 2, 3, len(TARGETS)), (75, 15, 7, 3))


@dataclass(frozen=True)
class PlannedJob:
    """One job to be sent.

    Attributes:
        number: Its number, which is also in its prompt, or in the URL of its input.
        at: Seconds after the start at which it is sent.
        kind: What is asked for, an entry of `chaos.plan.job_orders.KINDS`.
        size: A small number from which its parameters follow.
        image: Index of its input image, if any.
        faults: Its faults, and how often each happens (0: always).
        first_timeout: Client timeout in seconds of its first request, which may still be processed.
        again: Whether the request is repeated after its 202.
        cancel_after: Seconds after its 202 at which its caller cancels it, if at all.
    """

    number: int
    at: float
    kind: str
    size: int
    image: int | None
    faults: tuple[tuple[str, int], ...]
    first_timeout: float | None
    again: bool
    cancel_after: float | None = None

    @property
    def token(self) -> str:
        """The token that identifies it at the provider."""
        return f"[{self.number:05d}]"

    @property
    def prompt(self) -> str:
        """Its prompt: its token, and a marker for each fault."""
        return self.token + "".join(prompt_marker(name) for name, _ in self.faults)

    @property
    def ends(self) -> str:
        """Its expected end: `succeeded`, or the code of its failure."""
        codes = (JOB_FAULTS[name].ends for name, _ in self.faults)
        return next((code for code in codes if code), "succeeded")

    @property
    def lead(self) -> float:
        """Seconds between a cut submit and the creation of its task."""
        return max((JOB_FAULTS[name].lead for name, _ in self.faults), default=0.0)

    @property
    def model(self) -> str:
        """The model."""
        return KINDS[self.kind].model or self.kind

    @property
    def webhook(self) -> bool:
        """Whether a webhook can resolve a doubt about it."""
        return KINDS[self.kind].webhook

    @property
    def is_video(self) -> bool:
        """Whether its result is a video."""
        return KINDS[self.kind].is_video

    @property
    def is_draft(self) -> bool:
        """Whether its result has a bundle, from which the full video can be rendered."""
        return KINDS[self.kind].is_draft

    @property
    def unnamed(self) -> bool:
        """Whether the provider accepts it without a task id."""
        return any(JOB_FAULTS[name].unnamed for name, _ in self.faults)

    @property
    def in_doubt(self) -> bool:
        """Whether a fault of the provider leaves it in doubt."""
        return any(JOB_FAULTS[name].in_doubt for name, _ in self.faults)


@dataclass(frozen=True)
class PlannedBatch:
    """Some jobs that are sent as one batch.

    Attributes:
        number: Its number, which is also in the path of its callback.
        at: Seconds after the start at which it is sent.
        jobs: The numbers of its jobs, in the order of its items.
        first_timeout: Client timeout in seconds of its first request, which may still be processed.
        again: Whether the request is repeated after its 202.
    """

    number: int
    at: float
    jobs: tuple[int, ...]
    first_timeout: float | None
    again: bool


@dataclass(frozen=True)
class Kill:
    """A process is killed `at` seconds after the start, and restarted `down` seconds later."""

    at: float
    target: str
    down: float
    wave: int = 0


@dataclass(frozen=True)
class Plan:
    """A whole run."""

    seed: int
    seconds: float
    jobs: tuple[PlannedJob, ...]
    kills: tuple[Kill, ...]
    batches: tuple[PlannedBatch, ...] = ()

    @property
    def singles(self) -> Iterator[PlannedJob]:
        """The jobs that are sent by themselves."""
        batched = {number for batch in self.batches for number in batch.jobs}
        return (job for job in self.jobs if job.number not in batched)


def make_plan(jobs: int, seed: int) -> Plan:
    """Return the plan for this number of jobs; the same for the same seed."""
    rng = random.Random(f"chaos {seed} {jobs}")  # noqa: S311 - a plan to be repeated, no secret
    seconds = max(_SHORTEST, jobs / RATE)
    times = sorted(rng.uniform(0.0, seconds) for _ in range(jobs))
    planned = tuple(_job(rng, number, at) for number, at in enumerate(times))
    planned = tuple(_cancel_some(planned, seed))
    batches = tuple(_batches(planned, seed))
    return Plan(seed, seconds, planned, tuple(_kills(rng, seconds)), batches)


def _job(rng: random.Random, number: int, at: float) -> PlannedJob:
    name = rng.choices(list(KINDS), [kind.weight for kind in KINDS.values()])[0]
    kind = KINDS[name]
    takes = kind.takes_image
    with_image = takes == "always" or (takes == "sometimes" and rng.random() < 0.25)  # noqa: PLR2004 - one in four
    return PlannedJob(
        number=number,
        at=round(at, 3),
        kind=name,
        size=rng.randrange(8),
        image=rng.choice(kind.images) if with_image else None,
        faults=tuple(_draw_faults(rng, kind)),
        first_timeout=round(rng.uniform(0.01, 0.2), 3) if rng.random() < 0.06 else None,  # noqa: PLR2004 - some
        again=rng.random() < 0.1,  # noqa: PLR2004 - one in ten
    )


def _cancel_some(jobs: tuple[PlannedJob, ...], seed: int) -> list[PlannedJob]:
    """Return the jobs, of which some are canceled; all else about them stays as it is."""
    rng = random.Random(f"cancel {seed} {len(jobs)}")  # noqa: S311 - a plan to be repeated, no secret
    made = []
    for job in jobs:
        after = round(rng.triangular(0.0, _LATEST_CANCEL, _USUAL_CANCEL), 3)
        made.append(replace(job, cancel_after=after) if rng.random() < _CANCELED else job)
    return made


def _batches(jobs: tuple[PlannedJob, ...], seed: int) -> Iterator[PlannedBatch]:
    """Yield the batches: now and then, jobs that follow each other are sent as one."""
    rng = random.Random(f"batch {seed} {len(jobs)}")  # noqa: S311 - a plan to be repeated, no secret
    for number, first in enumerate(range(_FIRST_BATCHED, len(jobs), _BATCH_EVERY)):
        some = [job for job in jobs[first : first + _BATCH] if job.cancel_after is None]
        hurried = round(rng.uniform(0.01, 0.4), 3) if rng.random() < 0.5 else None  # noqa: PLR2004 - half
        again = rng.random() < 0.3  # noqa: PLR2004 - some
        if some:
            yield PlannedBatch(number, some[0].at, tuple(j.number for j in some), hurried, again)


def _draw_faults(rng: random.Random, kind: Kind) -> list[tuple[str, int]]:
    drawn: list[tuple[str, int]] = []
    for group, chance in CHANCES.items():
        if not _can_happen(group, kind):
            continue
        names = [name for name, job_fault in JOB_FAULTS.items() if job_fault.group == group]
        name = rng.choices(names, [JOB_FAULTS[name].weight for name in names])[0]
        times = rng.randint(1, JOB_FAULTS[name].most)
        if rng.random() < chance:
            drawn.append((name, times if JOB_FAULTS[name].once else 0))
    return drawn


def _can_happen(group: str, kind: Kind) -> bool:
    """Return whether a job of this kind can get a fault of this group.

    The sandbox knows by the prompt to whom a fault happens.
    """
    if not kind.has_prompt:
        return False
    return (group != OF_DRAFTS or kind.is_draft) and (group != OF_VIDEOS or kind.is_video)


def _kills(rng: random.Random, seconds: float) -> list[Kill]:
    """Return the kills of the whole run: first each target once, then random ones."""
    kills: list[Kill] = []
    ready_at = dict.fromkeys(TARGETS, 0.0)
    first = rng.sample(list(TARGETS), len(TARGETS))
    at, wave = _FIRST_KILL, 0
    while at < seconds:
        free = [name for name in TARGETS if ready_at[name] <= at]
        count = min(rng.choices(*_AT_ONCE)[0], len(free))
        for target in [first.pop()] if first else _draw(rng, free, count):
            down = rng.uniform(*(_LONG_DOWN if rng.random() < 0.1 else _DOWN))  # noqa: PLR2004 - one in ten
            kills.append(Kill(round(at, 3), target, round(down, 3), wave))
            ready_at[target] = at + down + _REST[target]
        # The first round fits into a third of the time, so that short runs have it as well.
        gap = rng.uniform(*_GAPS)
        at += min(gap, seconds / 3 / len(TARGETS)) if first else gap
        if at >= wave * (_WAVE + _PAUSE) + _WAVE:
            wave += 1
            at = wave * (_WAVE + _PAUSE)
    return kills


def _draw(rng: random.Random, names: list[str], count: int) -> list[str]:
    left, drawn = list(names), []
    for _ in range(count):
        drawn.append(rng.choices(left, [TARGETS[name] for name in left])[0])
        left.remove(drawn[-1])
    return drawn


def sandbox_faults(plan: Plan, decoy: str) -> dict[str, list[dict[str, Any]]]:
    """Return all faults to activate in the sandbox.

    Args:
        plan: The plan.
        decoy: The image URL in forged webhooks.
    """
    asked: dict[str, list[dict[str, Any]]] = {}
    for name, job_fault in JOB_FAULTS.items():
        for fault, parameters in job_fault.always.items():
            more = {"sample": decoy} if fault == "forge_webhook" else {}
            asked.setdefault(fault, []).append({**parameters, **more, "match": prompt_marker(name)})
    for job in plan.jobs:
        for name, times in job.faults:
            for fault, parameters in JOB_FAULTS[name].once.items():
                chosen = {"match": job.token, "times": times}
                asked.setdefault(fault, []).append({**parameters, **chosen})
    return asked
