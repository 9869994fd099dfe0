"""Asking for a result: whom, for how long, and when "not found" is believed."""

from dataclasses import replace

import pytest

from core.errors import Transient
from core.jobs.failures import FailureCode
from core.jobs.status import Status, Step
from core.redis.change import Change
from tests.contract.harness import A, Bench, meanwhile, said
from tests.contract.scripted_server import Script, Wire, answer
from worker.steps.poll import poll
from worker.tasks import run

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

    settings = bench.deps.settings.model_copy(update={"accounts": (regional,)})
    poll(A, replace(bench.deps, settings=settings))

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


READY_WITHOUT = said(200, {"id": "t1", "status": "Ready", "result": {"sample": ["a", "b"]}})
REDIRECT = answer(307, b"", "location: https://evil.example/")


def _polls_until_the_end(bench: Bench) -> float:
    """Run each poll when it is due; return the seconds until the job failed."""
    began = bench.clock.now
    while bench.job.status is Status.GENERATING and bench.clock.now < began + 3600:
        run(Step.POLL, poll, A, bench.deps)
        bench.clock.now += bench.due_in(Step.POLL) or 0
    return bench.clock.now - began


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (READY_WITHOUT, '{"sample": ["str", "str"]}'),
        (said(200, {"id": "t1", "status": "Ready", "result": None}), "null"),
        (REDIRECT, "get_result answered 307"),
        (answer(200, b"<html>"), "get_result answered 200"),
        (answer(400, b"{}"), "get_result answered 400"),
    ],
)
def test_what_names_no_result_ends_within_minutes(bench: Bench, script: Script, told: str) -> None:
    """It will be no other tomorrow: the job gives its slot back, and its caller is shown it."""
    bench.accept(deadline_at=bench.clock.now + 600)
    bench.generating()
    bench.server.script = script

    took = _polls_until_the_end(bench)

    overdue = bench.deps.settings.webhook_overdue_seconds
    assert bench.error == FailureCode.PROVIDER_ERROR
    assert told in (bench.job.error or {})["message"]
    assert 3 * overdue <= took <= 3 * overdue + 15
    assert len(bench.server.requests) >= 6
    assert not bench.redis.zcard("slots:default")


@pytest.mark.parametrize("slip", [READY_WITHOUT, REDIRECT])
def test_what_names_no_result_for_a_while_costs_nothing(bench: Bench, slip: Script) -> None:
    """A good answer in between begins the count anew, and an outage counts for nothing."""
    bench.accept()
    bench.generating()
    for script in (slip, answer(503, b""), said(200, {"id": "t1", "status": "Pending"})) * 5:
        bench.server.script = script
        run(Step.POLL, poll, A, bench.deps)
        bench.clock.now += 100
    assert bench.job.error is None
    bench.server.script = _ready(bench)

    run(Step.POLL, poll, A, bench.deps)

    assert bench.job.status is Status.STORING


def test_what_names_no_result_is_asked_about_several_times(bench: Bench) -> None:
    """Two answers that are far apart, for the workers were away, are not enough."""
    bench.accept()
    bench.generating()
    bench.server.script = READY_WITHOUT
    for _ in range(3):
        run(Step.POLL, poll, A, bench.deps)
        bench.clock.now += 1000
    assert bench.job.status is Status.GENERATING

    run(Step.POLL, poll, A, bench.deps)

    assert bench.error == FailureCode.PROVIDER_ERROR


def test_a_silent_host_does_not_hide_what_another_says_of_the_task(bench: Bench) -> None:
    """It is ready on the host that made it: the others have nothing to add."""
    bench.accept()
    bench.generating()
    _by_path(bench, first=READY_WITHOUT, v1=answer(503, b""))

    _polls_until_the_end(bench)

    assert bench.error == FailureCode.PROVIDER_ERROR


def test_a_redirect_on_one_host_proves_nothing_while_another_is_silent(bench: Bench) -> None:
    """The one that has the task may be the silent one."""
    bench.accept(deadline_at=bench.clock.now + 60)
    bench.generating()
    _by_path(bench, first=REDIRECT, v1=answer(503, b""))

    _polls_until_the_end(bench)

    assert bench.error == FailureCode.TIMED_OUT


def test_word_of_the_task_outweighs_that_others_do_not_know_it(bench: Bench) -> None:
    """Whichever is asked last, what tells of the task counts."""
    bench.accept()
    bench.generating()
    _by_path(bench, first=said(200, {"id": "t1", "status": "Brewing"}))
    bench.clock.now += 3000

    poll(A, bench.deps)

    assert bench.job.status is Status.GENERATING


@pytest.mark.parametrize("status", ["Error", "Content Moderated"])
@pytest.mark.parametrize("named", [{}, {"id": "t1"}])
def test_a_late_answer_about_another_task_ends_nothing(
    bench: Bench, status: str, named: dict[str, str]
) -> None:
    """While it was asked for, its result died and the job was posted again: t2 is being made."""
    bench.accept()
    bench.generating()
    again = Change(set={"provider_id": "t2", "expired_id": "t1"})

    def posted_again() -> None:
        assert bench.store.change(A, {Status.GENERATING}, again)

    bench.server.script = meanwhile(posted_again, said(200, {"status": status, **named}))

    poll(A, bench.deps)

    assert (bench.job.status, bench.job.provider_id) == (Status.GENERATING, "t2")


@pytest.mark.parametrize("late", [0.0, 4000.0])
def test_what_is_not_known_of_another_task_ends_nothing(bench: Bench, late: float) -> None:
    """The same for one that nobody knows any more, also when the job's time is over."""
    bench.accept()
    bench.generating()
    bench.clock.now += 2000 + late
    again = Change(set={"provider_id": "t2", "expired_id": "t1"})

    def posted_again() -> None:
        bench.store.change(A, {Status.GENERATING}, again)

    bench.server.script = meanwhile(posted_again, NOT_FOUND)

    poll(A, bench.deps)

    assert (bench.job.status, bench.job.provider_id) == (Status.GENERATING, "t2")
