"""A copy that comes twice, or goes on past its time, costs no image and no second download."""

from collections.abc import Callable
from itertools import count

import pytest

from core.errors import StoreUnavailable
from core.jobs.status import Status
from tests.contract.harness import A, Bench
from tests.contract.scripted_server import answer
from worker.steps import collect as module
from worker.steps.collect import collect

Draw = Callable[[str], bytes]


def test_a_late_copy_fetches_nothing(bench: Bench, picture: Draw) -> None:
    """A task that comes twice finds the job done, and ends in peace."""
    bench.accept()
    bench.storing()
    bench.server.script = answer(200, picture("PNG"))
    collect(A, bench.deps)

    collect(A, bench.deps)

    assert len(bench.server.requests) == 1


def test_a_redis_that_slips_gives_no_image_up(
    bench: Bench, picture: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link's end is over by our clock, but it still answers: Redis says nothing of that."""
    bench.accept()
    bench.storing(lives_for=-1)
    bench.server.script = answer(200, picture("PNG"))
    minutes = count(step=60)
    clock = type("Time", (), {"monotonic": lambda: next(minutes)})
    monkeypatch.setattr(module, "time", clock)

    def slip(*_arguments: object) -> None:
        monkeypatch.undo()
        monkeypatch.setattr(module, "time", clock)
        raise StoreUnavailable("away")

    monkeypatch.setattr(bench.store, "renew", slip)
    with pytest.raises(StoreUnavailable):
        collect(A, bench.deps)
    collect(A, bench.deps)

    assert bench.job.status is Status.SUCCEEDED
