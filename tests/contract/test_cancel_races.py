"""A cancel races with whatever moves a job: exactly one end, one callback, and the slot free."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Final

import pytest

from core.jobs.job import JobId
from core.operations.cancellation import Outcome, cancel
from tests.contract.cancel_races import (
    OPPONENTS,
    Opponent,
    World,
    assert_nothing_is_held,
    assert_one_end,
    bring_to_end,
    counting,
)
from tests.contract.harness import Bench
from tests.contract.scripted_server import ScriptedServer, answer

#: Races in all, and how many run at a time: no more jobs than there are slots.
_RACES: Final = 500
_AT_ONCE: Final = 20
#: No step makes more script calls than this before its end.
_CALLS: Final = 6
_PATIENCE: Final = 60.0  # seconds; a gate opens at once


@pytest.fixture
def world(bench: Bench, picture: Callable[[str], bytes]) -> Iterator[World]:
    """Return a bench, and a host that has a picture."""
    with ScriptedServer() as host:
        host.script = answer(200, picture("PNG"), "content-type: image/png")
        yield World(bench, host)


def _begin(world: World, opponent: Opponent) -> None:
    """Empty everything, and have the provider answer as it should."""
    world.bench.redis.flushdb()
    world.bench.server.script = opponent.answer(world)


@pytest.mark.parametrize("name", OPPONENTS)
def test_a_cancel_between_any_two_script_calls(world: World, name: str) -> None:
    """Wherever a step stands when the job is canceled, there is one end, and the slot is free."""
    opponent, outcomes = OPPONENTS[name], list[Outcome]()
    happened = True
    while happened:
        _begin(world, opponent)
        job_id = JobId(f"{name.split(maxsplit=1)[0]}-{len(outcomes)}")
        opponent.prepare(world, job_id)
        told: list[Outcome] = []
        deps, scripts = counting(
            world.bench.deps,
            len(outcomes),
            lambda job_id=job_id, told=told: told.append(cancel(world.bench.store, job_id)),  # type: ignore[misc]
        )

        opponent.act(world, job_id, deps)

        happened = scripts.happened
        outcome = told[0] if told else cancel(world.bench.store, job_id)
        bring_to_end(world, [job_id])
        assert_one_end(world, job_id, outcome)
        assert_nothing_is_held(world, 1)
        outcomes.append(outcome)
    assert len(outcomes) > 1
    assert outcomes[0] is (Outcome.STORING if name == "collect" else Outcome.CANCELED)


def _race(world: World, opponent: Opponent, job_ids: list[JobId]) -> list[Outcome]:
    """Cancel each job while the opponent acts on it; return what the cancels found.

    The n-th cancel begins at the n-th script call of the step, or when the step is done.
    """
    gates = [threading.Event() for _ in job_ids]

    def act(at: int) -> None:
        deps, _ = counting(world.bench.deps, at % _CALLS, gates[at].set)
        try:
            opponent.act(world, job_ids[at], deps)
        finally:
            gates[at].set()

    def cancel_it(at: int) -> Outcome:
        assert gates[at].wait(_PATIENCE)
        return cancel(world.bench.store, job_ids[at])

    with ThreadPoolExecutor(2 * _AT_ONCE) as threads:
        cancels = [threads.submit(cancel_it, at) for at in range(len(job_ids))]
        acts = [threads.submit(act, at) for at in range(len(job_ids))]
        for done in acts:
            done.result()
        return [done.result() for done in cancels]


def test_five_hundred_races(world: World) -> None:
    """Against submit, webhook, poll, collect and deadline: one end and one callback each time."""
    found: dict[str, set[Outcome]] = {}
    rounds = [(event, list(names)) for event, names in groupby(OPPONENTS, lambda n: n.split()[0])]
    each = _RACES // len(rounds) // _AT_ONCE
    for event, names in rounds:
        for turn in range(each):
            opponent = OPPONENTS[names[turn % len(names)]]
            _begin(world, opponent)
            job_ids = [JobId(f"{event}-{turn}-{at:02}") for at in range(_AT_ONCE)]
            for job_id in job_ids:
                opponent.prepare(world, job_id)

            outcomes = _race(world, opponent, job_ids)

            bring_to_end(world, job_ids)
            for job_id, outcome in zip(job_ids, outcomes, strict=True):
                assert_one_end(world, job_id, outcome)
            assert_nothing_is_held(world, _AT_ONCE)
            found.setdefault(event, set()).update(outcomes)
    assert each * len(rounds) * _AT_ONCE == _RACES
    assert set(found) == {"submit", "webhook", "poll", "collect", "deadline"}
    # Neither side always wins.
    assert {Outcome.CANCELED, Outcome.STORING, Outcome.ENDED} <= set().union(*found.values())
