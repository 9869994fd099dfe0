"""The plan of a run: which jobs are sent when, what befalls them, and what is killed when.

All of it follows from the number of jobs and the seed, so a run can be repeated, though never
with the same interleaving.
"""

import random
from dataclasses import dataclass
from typing import Any, Final

from chaos.plan.faults import CHANCES, TROUBLES, mark
from chaos.plan.job_orders import IMAGES, MODELS

#: Jobs sent per second, on average.
RATE: Final = 7.0
_SHORTEST: Final = 20.0  # seconds, so that there is time to kill everything
#: What is killed, and how likely compared with the others.
TARGETS: Final = {
    "service": 3.0,
    "worker.submit": 3.0,
    "worker.collect": 3.0,
    "worker.notify": 2.0,
    "worker.sweep": 2.0,
    "valkey": 1.5,
    "seaweedfs": 1.0,
    "receiver": 1.0,  # the callers' own: taken away and brought back
}
#: Seconds from its start to its next kill, at least; of these, starting takes two and more, and
#: Valkey reads its file for longer the more has happened.
_REST: Final = dict.fromkeys(TARGETS, 4.5) | {"valkey": 8.0, "seaweedfs": 14.0, "receiver": 8.0}
_FIRST_KILL: Final = 1.0
_GAPS: Final = (0.5, 2.8)
#: Kills come in waves, with a pause in which everything comes back: a machine that only starts
#: processes proves nothing, and results die in it.
_WAVE: Final = 20.0
_PAUSE: Final = 8.0
_DOWN: Final = (0.1, 2.5)
_LONG_DOWN: Final = (2.5, 5.0)
#: How many are killed at once, and how likely.
_AT_ONCE: Final = ((1, 2, 3, len(TARGETS)), (75, 15, 7, 3))


@dataclass(frozen=True)
class PlannedJob:
    """One job to be sent.

    Attributes:
        number: Its number, which also stands in its prompt.
        at: Seconds after the start at which it is sent.
        model: What is asked for.
        size: A small number from which its parameters follow.
        image: Which input image it has, if any.
        troubles: What befalls it, and how often (0: always).
        patience: Seconds after which its first request is given up, though it may go through.
        again: Whether it is sent once more after its 202.
    """

    number: int
    at: float
    model: str
    size: int
    image: int | None
    troubles: tuple[tuple[str, int], ...]
    patience: float | None
    again: bool

    @property
    def token(self) -> str:
        """What identifies it in its prompt."""
        return f"[{self.number:05d}]"

    @property
    def prompt(self) -> str:
        """Its prompt: its token, and a mark for each trouble that stays."""
        return self.token + "".join(mark(name) for name, _ in self.troubles)

    @property
    def ends(self) -> str:
        """How it must end: `succeeded`, or the code of its failure."""
        codes = (TROUBLES[name].ends for name, _ in self.troubles)
        return next((code for code in codes if code), "succeeded")

    @property
    def lead(self) -> float:
        """Seconds after a submit was cut off at which its task is made."""
        return max((TROUBLES[name].lead for name, _ in self.troubles), default=0.0)

    @property
    def webhook(self) -> bool:
        """Whether a webhook can settle a doubt about it."""
        return MODELS[self.model].webhook

    @property
    def unnamed(self) -> bool:
        """Whether the provider says yes to it without naming its task."""
        return any(TROUBLES[name].unnamed for name, _ in self.troubles)

    @property
    def doubtful(self) -> bool:
        """Whether a fault of the provider leaves open if it took the job."""
        return any(TROUBLES[name].doubtful for name, _ in self.troubles)


@dataclass(frozen=True)
class Kill:
    """A process is killed `at` seconds after the start, and started again after `down` seconds."""

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


def make_plan(jobs: int, seed: int) -> Plan:
    """Return the plan for so many jobs; the same for the same seed."""
    rng = random.Random(f"chaos {seed} {jobs}")  # noqa: S311 - a plan to be repeated, no secret
    seconds = max(_SHORTEST, jobs / RATE)
    times = sorted(rng.uniform(0.0, seconds) for _ in range(jobs))
    planned = tuple(_job(rng, number, at) for number, at in enumerate(times))
    return Plan(seed, seconds, planned, tuple(_kills(rng, seconds)))


def _job(rng: random.Random, number: int, at: float) -> PlannedJob:
    model = rng.choices(list(MODELS), [kind.weight for kind in MODELS.values()])[0]
    takes = MODELS[model].takes_image
    with_image = takes == "always" or (takes == "sometimes" and rng.random() < 0.25)  # noqa: PLR2004 - one in four
    return PlannedJob(
        number=number,
        at=round(at, 3),
        model=model,
        size=rng.randrange(8),
        image=rng.randrange(IMAGES) if with_image else None,
        troubles=tuple(_troubles(rng)),
        patience=round(rng.uniform(0.01, 0.2), 3) if rng.random() < 0.06 else None,  # noqa: PLR2004 - some
        again=rng.random() < 0.1,  # noqa: PLR2004 - one in ten
    )


def _troubles(rng: random.Random) -> list[tuple[str, int]]:
    drawn: list[tuple[str, int]] = []
    for group, chance in CHANCES.items():
        names = [name for name, trouble in TROUBLES.items() if trouble.group == group]
        name = rng.choices(names, [TROUBLES[name].weight for name in names])[0]
        times = rng.randint(1, TROUBLES[name].most)
        if rng.random() < chance:
            drawn.append((name, times if TROUBLES[name].once else 0))
    return drawn


def _kills(rng: random.Random, seconds: float) -> list[Kill]:
    """Return kills over the whole time: first each target once, then whatever comes."""
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
        # The first round is pressed into a third of the time, so that short runs have it as well.
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


def faults(plan: Plan, bait: str) -> dict[str, list[dict[str, Any]]]:
    """Return all faults that the sandbox is to have in force.

    Args:
        plan: The run.
        bait: The address that forged webhooks name as the picture's.
    """
    asked: dict[str, list[dict[str, Any]]] = {}
    for name, trouble in TROUBLES.items():
        for fault, parameters in trouble.always.items():
            more = {"sample": bait} if fault == "forge_webhook" else {}
            asked.setdefault(fault, []).append({**parameters, **more, "match": mark(name)})
    for job in plan.jobs:
        for name, times in job.troubles:
            for fault, parameters in TROUBLES[name].once.items():
                chosen = {"match": job.token, "times": times}
                asked.setdefault(fault, []).append({**parameters, **chosen})
    return asked
