"""Asking for a result: whom, for how long, and when "not found" is believed."""

from dataclasses import replace

import pytest

from core.change import Change
from core.errors import Transient
from core.job import FailureCode, Status, Step
from tests.contract.bench import A, Bench, meanwhile, said
from tests.contract.scripted import Script, Wire, answer
from worker.poll import poll

NOT_FOUND = answer(404, b"{}")


def _by_path(bench: Bench, **scripts: Script) -> None:
    """Have the server answer by the first part of the path, else that it knows no task."""

    def script(wire: Wire) -> None:
        target = bench.server.requests[-1].target.split("/")[1].split("?")[0]
        scripts.get(target, NOT_FOUND)(wire)

    bench.server.script = script


def _ready(bench: Bench) -> Script:
    return said(200, {"id": "t1", "status": "Ready", "result": {"sample": f"{bench.server.url}/i"}})


def test_other_hosts_are_asked(bench: Bench) -> None:
    """Tasks are regional: where the first host knows nothing, the others are asked."""
    bench.accept()
    bench.generating()
    account = bench.deps.settings.accounts[0]
    regional = replace(account, poll_urls=(f"{bench.server.url}/region",))
    _by_path(bench, region=_ready(bench))

    poll(A, replace(bench.deps, settings=replace(bench.deps.settings, accounts=(regional,))))

    assert bench.job.status is Status.STORING


def test_one_silent_host_keeps_not_found_from_being_believed(bench: Bench) -> None:
    """The one that has the task may be the one that says nothing."""
    bench.accept()
    bench.generating()
    bench.clock.now += 3000
    _by_path(bench, v1=answer(503, b""))

    with pytest.raises(Transient, match="503"):
        poll(A, bench.deps)

    assert bench.job.status is Status.GENERATING


def test_not_found_is_final_only_after_the_result_s_life(bench: Bench) -> None:
    """A provider that forgets a task for a while loses nobody's image."""
    bench.accept()
    bench.generating()
    settings = bench.deps.settings
    bench.server.script = NOT_FOUND
    life = settings.result_lifetime_seconds + settings.webhook_overdue_seconds

    bench.clock.now += life - 1
    poll(A, bench.deps)
    assert bench.job.status is Status.GENERATING
    bench.clock.now += 1
    poll(A, bench.deps)

    assert bench.error == FailureCode.LOST


def test_a_silent_provider_ends_with_the_deadline(bench: Bench) -> None:
    """Nobody can say anything, and the caller is told so in the end."""
    bench.accept()
    bench.generating()
    bench.clock.now = bench.job.request.deadline_at
    bench.server.script = answer(503, b"")

    poll(A, bench.deps)

    assert bench.error == FailureCode.TIMED_OUT


def test_a_task_that_goes_on_for_ever_ends_with_the_deadline(bench: Bench) -> None:
    """A provider that is always nearly done is not asked for ever."""
    bench.accept()
    bench.generating()
    bench.clock.now = bench.job.request.deadline_at
    bench.server.script = said(200, {"id": "t1", "status": "Pending"})

    poll(A, bench.deps)

    assert bench.error == FailureCode.TIMED_OUT


def test_a_task_that_goes_on_is_asked_about_again(bench: Bench) -> None:
    """The next poll is due, later each time, but within fifteen seconds."""
    bench.accept()
    bench.generating()
    bench.server.script = said(200, {"id": "t1", "status": "Pending"})
    waits = []
    for _ in range(20):
        poll(A, bench.deps)
        waits.append(bench.due_in(Step.POLL) or 0)

    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(0.2, abs=1e-3)
    assert waits[-1] == 15


@pytest.mark.parametrize("passed", ["deadline", "forgotten"])
def test_a_poll_that_gives_up_takes_no_result_away(bench: Bench, passed: str) -> None:
    """The webhook comes while the poll is on its way: the result counts."""
    bench.accept()
    bench.generating()
    known = Change(set={"result_url": "https://x", "result_expires_at": bench.clock.now + 9000})

    def webhook() -> None:
        assert bench.store.move(A, Status.STORING, known, was=[Status.GENERATING])

    pending = said(200, {"id": "t1", "status": "Pending"})
    if passed == "deadline":
        bench.clock.now = bench.job.request.deadline_at
    else:
        bench.clock.now += 3000
    once = [webhook]

    def first() -> None:
        while once:
            once.pop()()

    bench.server.script = meanwhile(first, pending if passed == "deadline" else NOT_FOUND)

    poll(A, bench.deps)

    assert bench.job.status is Status.STORING


def test_a_late_poll_asks_nobody(bench: Bench) -> None:
    """A task that comes twice, or after the webhook, costs the provider nothing."""
    bench.accept()
    bench.generating()
    bench.storing()

    poll(A, bench.deps)

    assert bench.server.requests == []
