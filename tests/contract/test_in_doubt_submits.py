"""A submit that may have been taken: settled by its webhook, repeated only after a long silence."""

import io
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import pytest

from core.jobs.failures import FailureCode
from core.jobs.status import Status, Step
from core.redis.change import Change
from core.scheduling import circuit_breakers
from core.settings.settings import WORKER, Settings
from tests.contract.harness import ANYWHERE, A, Bench, meanwhile, said
from tests.contract.scripted_server import answer
from worker.runtime import wiring
from worker.steps.submit import submit

#: Seconds of a first doubt, in the tests' settings.
DOUBT = 6.0
TAKEN = said(200, {"id": "t1", "polling_url": "https://api.example/x", "cost": 5})
NEWER = Change(set={"posting_at": 1.0, "posting_by": "newer"})


def _in_doubt(bench: Bench, **fields: float) -> None:
    change = Change(set={"posting_at": bench.clock.now, "posting_by": "died", **fields})
    assert bench.store.change(A, {Status.SUBMITTING}, change)


def test_a_doubt_waits_for_its_webhook(bench: Bench) -> None:
    """Before its time is over nothing is posted, and the step is due when it is."""
    bench.accept()
    _in_doubt(bench)
    bench.clock.now += DOUBT - 1

    submit(A, bench.deps)

    assert bench.server.requests == []
    assert bench.due_in(Step.SUBMIT) == 1
    assert bench.job.resubmits == 0


def test_a_doubt_that_is_over_is_posted_again_and_counted(bench: Bench) -> None:
    """The claim is given up, the repetition counted, and a new task posts the job."""
    bench.accept()
    _in_doubt(bench)
    bench.redis.delete("rq:queue:submit")
    bench.clock.now += DOUBT

    submit(A, bench.deps)

    assert (bench.job.resubmits, bench.job.posting_at) == (1, None)
    assert bench.tasks("submit") == [Step.SUBMIT]


def test_a_second_doubt_lasts_twice_as_long(bench: Bench) -> None:
    """Each repetition may be paid for, so the next one waits longer."""
    bench.accept()
    _in_doubt(bench, resubmits=1)
    bench.clock.now += 2 * DOUBT - 1

    submit(A, bench.hooked)

    assert bench.job.resubmits == 1
    assert bench.due_in(Step.SUBMIT) == 1


def test_a_doubt_ends_with_the_deadline(bench: Bench) -> None:
    """A job that is over its time is not posted again: it ends as lost."""
    bench.accept(deadline_at=bench.clock.now + DOUBT)
    _in_doubt(bench)
    bench.clock.now += DOUBT

    submit(A, bench.deps)

    assert bench.error == FailureCode.LOST


def test_two_that_settle_a_doubt_repeat_it_once(bench: Bench) -> None:
    """The slower of the two must not take away the claim that was made meanwhile."""
    bench.accept()
    _in_doubt(bench)
    bench.clock.now += DOUBT
    calls = 0

    def clock() -> float:
        nonlocal calls
        calls += 1
        if calls == 1:
            submit(A, bench.deps)
            assert bench.store.change(A, {Status.SUBMITTING}, NEWER)
        return bench.clock.now

    submit(A, replace(bench.deps, clock=clock))

    assert (bench.job.resubmits, bench.job.posting_by) == (1, "newer")


def test_posting_since_is_on_disk_before_the_request_leaves(bench: Bench) -> None:
    """When the provider hears of the job, the record says so, and was confirmed."""
    bench.accept()
    seen: list[object] = []
    before = bench.confirmations()

    def look() -> None:
        seen.extend([bench.job.posting_at, bench.confirmations()])

    bench.server.script = meanwhile(look, TAKEN)

    submit(A, bench.deps)

    assert seen == [bench.clock.now, before + 1]


def _with_an_image(bench: Bench) -> None:
    """Have a job accepted whose image is looked at between reading the job and claiming it."""
    key = f"_inputs/{A}/input_image"
    image = io.BytesIO(b"image")
    digest = sha256(b"image").digest()
    bench.deps.objects.put(key, image, sha256=digest, content_type="image/png")
    bench.accept(model="flux-kontext-pro", input_keys={"input_image": key})
    bench.server.script = TAKEN


def test_of_two_runs_one_posts(bench: Bench) -> None:
    """A run that read the job before another one claimed it posts nothing."""
    _with_an_image(bench)

    def twin() -> None:
        assert bench.store.change(A, {Status.SUBMITTING}, NEWER)

    submit(A, bench.when_looked_at(twin))

    assert bench.server.requests == []
    assert bench.job.posting_by == "newer"


@pytest.mark.parametrize("meanwhile_set", [{"pool": "other"}, {"submits": 7}])
def test_a_job_that_was_granted_anew_is_left_alone(
    bench: Bench, meanwhile_set: dict[str, str | int]
) -> None:
    """The slot that the run read of may be another account's by now, or another grant's."""
    _with_an_image(bench)

    def granted_anew() -> None:
        assert bench.store.change(A, ANYWHERE, Change(set=meanwhile_set))

    submit(A, bench.when_looked_at(granted_anew))

    assert bench.server.requests == []
    assert bench.job.posting_at is None


def test_a_job_past_its_deadline_is_not_posted(bench: Bench) -> None:
    """Nobody wants it any more, so nobody pays for it."""
    bench.accept(deadline_at=bench.clock.now)

    submit(A, bench.deps)

    assert bench.error == FailureCode.TIMED_OUT
    assert bench.server.requests == []


def test_a_late_no_does_not_end_a_newer_submit(bench: Bench) -> None:
    """A refusal that comes after its doubt was over says nothing of the newer one."""
    bench.accept()

    def newer() -> None:
        assert bench.store.change(A, {Status.SUBMITTING}, NEWER)

    bench.server.script = meanwhile(newer, said(422))

    submit(A, bench.deps)

    assert (bench.job.status, bench.job.posting_by) == (Status.SUBMITTING, "newer")


def test_a_no_does_not_take_a_result_away(bench: Bench) -> None:
    """The webhook was faster and brought a result: the refusal is wrong."""
    bench.accept()
    bench.server.script = meanwhile(bench.storing, said(422))

    submit(A, bench.deps)

    assert bench.job.status is Status.STORING


@pytest.mark.parametrize("status", [429, 402, 403])
def test_a_refusal_does_not_take_a_result_away(bench: Bench, status: int) -> None:
    """The first submit's webhook comes while the second one is refused: the image is there."""
    bench.accept()
    _in_doubt(bench)
    bench.clock.now += DOUBT
    submit(A, bench.deps)
    bench.server.script = meanwhile(lambda: bench.storing(), answer(status, b"{}"))  # noqa: PLW0108 - its argument has a default

    submit(A, bench.deps)

    assert bench.job.status is Status.STORING
    assert bench.due_in(Step.COLLECT) is not None


def test_an_answer_that_was_overtaken_is_noted(bench: Bench) -> None:
    """The webhook was faster; what only the answer tells is kept all the same."""
    bench.accept()
    bench.server.script = meanwhile(bench.storing, TAKEN)

    submit(A, bench.deps)

    job = bench.job
    assert (job.status, job.cost, job.polling_url) == (Status.STORING, 5.0, "https://api.example/x")


@pytest.mark.parametrize(("status", "standing"), [(503, Status.SUBMITTING), (200, Status.QUEUED)])
def test_a_provider_in_trouble_gets_no_more_jobs_for_a_while(
    bench: Bench, status: int, standing: Status
) -> None:
    """Whether it left a job in doubt or was not there at all: the next one waits."""
    bench.accept()
    bench.server.script = answer(status, b"")
    if standing is Status.QUEUED:
        bench.server.close()

    submit(A, bench.hooked)

    assert bench.job.status is standing
    assert bench.redis.hget(f"breaker:{circuit_breakers.provider('default')}", "failures") == "1"


def test_a_job_that_was_never_sent_waits_and_is_no_doubt(bench: Bench) -> None:
    """Nothing is written that would make the next grant wait for a webhook."""
    bench.accept()
    bench.server.close()

    submit(A, bench.deps)

    job = bench.job
    assert (job.status, job.posting_at, job.resubmits) == (Status.QUEUED, None, 0)


def test_sending_and_answer_fit_into_the_doubt(environment: Mapping[str, str]) -> None:
    """The last word on a submit must come before it is repeated."""
    timeouts = {
        "FLUXRELAY_PROVIDER_TIMEOUT_SECONDS": "30",
        "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS": "300",
    }
    built = wiring.build(Settings.from_env({**environment, **timeouts}, WORKER))

    sending = built.providers["default"]._send_timeout  # noqa: SLF001 - minutes, to be seen otherwise

    assert 30 < sending <= 300 - 2 * 30
    built.objects._client.close()  # noqa: SLF001 - its sockets are closed at exit
