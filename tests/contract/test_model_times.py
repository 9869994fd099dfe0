"""A model's own times: how long its links live, when it is polled, and when its jobs time out."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from core.errors import Transient
from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.operations.dead_letters import DeadLetters
from core.operations.provider_results import apply_notice
from core.provider.catalogue import MODELS
from core.provider.wire_format import parse_notice
from core.redis.store import JobStore
from tests.contract.harness import A, Bench, said
from tests.contract.jobs import make_request
from tests.contract.result_links import DEAD, answering, collect_once, named
from tests.contract.scripted_server import answer
from worker.deps import Deps
from worker.steps.poll import poll
from worker.steps.submit import submit
from worker.tasks import run

MODEL = make_request().model
HOURS = 7200.0
PENDING = said(200, {"id": "t1", "status": "Pending"})


def _with_times(bench: Bench, *, public_url: str | None = None, **times: Any) -> Bench:
    """Return the same, but for the times of the job's model."""
    models = {**bench.deps.settings.models, MODEL: replace(MODELS[MODEL], **times)}
    update: dict[str, Any] = {"models": models, "public_url": public_url}
    settings = bench.deps.settings.model_copy(update=update)
    store = JobStore(bench.redis, settings, bench.clock)
    return replace(bench, deps=replace(bench.deps, settings=settings, store=store))


def _webhook(bench: Bench, link: str, **result: float) -> None:
    """Have a webhook come that names a link."""
    told = {"id": "t1", "status": "Ready", "result": {"sample": link, **result}}
    raw = json.dumps(told).encode()
    usual = bench.deps.settings.result_lifetime_seconds
    assert apply_notice(bench.store, A, parse_notice(raw, bench.clock.now, usual), "webhook", raw)


@pytest.mark.parametrize(
    ("own", "public", "wait"),
    [
        (None, None, 0.2),
        (None, "https://relay.example", 3.0),
        (30.0, None, 30.0),
        (30.0, "https://relay.example", 30.0),
        (1.0, "https://relay.example", 3.0),
        (100_000.0, None, 150.0),
    ],
)
def test_a_task_is_first_polled_at_its_model_s_time(
    bench: Bench, own: float | None, public: str | None, wait: float
) -> None:
    """Not before a webhook is overdue, and not after a quarter of its link's life."""
    slow = _with_times(bench, public_url=public, first_poll_seconds=own)
    slow.accept()
    slow.server.script = said(200, {"id": "t1", "polling_url": f"{slow.server.url}/first"})

    submit(A, slow.deps)

    assert slow.job.status is Status.GENERATING
    assert slow.due_in(Step.POLL) == pytest.approx(wait, abs=1e-3)


@pytest.mark.parametrize(
    ("times", "first", "last"),
    [
        ({"poll_seconds": 30.0}, 30.0, 30.0),
        ({"poll_seconds": 2.0}, 2.0, 15.0),
        ({"poll_seconds": 1000.0}, 150.0, 150.0),
        ({"poll_seconds": 1000.0, "link_seconds": HOURS}, 1000.0, 1000.0),
        ({"link_seconds": HOURS}, 0.2, 15.0),
    ],
)
def test_a_task_is_polled_again_at_its_model_s_interval(
    bench: Bench, times: dict[str, Any], first: float, last: float
) -> None:
    """Short intervals grow to fifteen seconds, long ones stay as they are."""
    slow = _with_times(bench, **times)
    slow.accept()
    slow.generating()
    slow.server.script = PENDING
    waits = []
    for _ in range(20):
        poll(A, slow.deps)
        waits.append(slow.due_in(Step.POLL))

    assert waits[0] == pytest.approx(first, abs=1e-3)
    assert waits[-1] == pytest.approx(last, abs=1e-3)


@pytest.mark.parametrize(
    ("life", "expected"), [(None, 600.0), (HOURS, HOURS), (3600.0, 3600.0), (60.0, 60.0)]
)
@pytest.mark.parametrize("ago", [0.0, 40.0])
def test_a_link_from_a_webhook_lives_as_long_as_its_model_s(
    bench: Bench, life: float | None, expected: float, ago: float
) -> None:
    """The webhook's receiver does not read the job, yet the record has the right time."""
    own = _with_times(bench, link_seconds=life)
    own.accept()
    own.generating()

    _webhook(own, "https://delivery.example/a", end_time=own.clock.now - ago)

    assert own.job.status is Status.STORING
    assert own.job.result_expires_at == pytest.approx(own.clock.now - ago + expected, abs=1e-3)


def test_a_link_s_own_word_goes_before_its_model_s(bench: Bench) -> None:
    """`se=` says when it expires, however long links of its model live otherwise."""
    own = _with_times(bench, link_seconds=HOURS)
    own.accept()
    own.generating()
    end = datetime.fromtimestamp(own.clock.now + 300, UTC).isoformat()

    _webhook(own, f"https://delivery.example/a?se={quote(end)}")

    assert own.job.result_expires_at == own.clock.now + 300


@pytest.mark.parametrize(("life", "least", "most"), [(None, 600, 1000), (HOURS, 7200, 8000)])
def test_a_link_from_a_poll_lives_as_long_as_its_model_s(
    bench: Bench, life: float | None, least: float, most: float
) -> None:
    """A poll knows the job's model, and reads the link's life with that."""
    own = _with_times(bench, link_seconds=life)
    own.accept()
    own.generating()
    own.server.script = named("https://delivery.example/a")
    before = time.time()

    poll(A, own.deps)

    assert before + least <= (own.job.result_expires_at or 0) <= before + most


def test_a_renewed_link_lives_as_long_as_its_model_s(bench: Bench) -> None:
    """The provider names a better link, which does not say when it expires either."""
    own = _with_times(bench, link_seconds=HOURS)
    own.accept()
    own.storing()
    answering(own, image=DEAD, get_result=named(f"{own.server.url}/better"), better=answer(503))
    before = time.time()

    for _ in range(2):
        collect_once(own)

    assert own.job.result_url == f"{own.server.url}/better"
    assert (own.job.result_expires_at or 0) >= before + HOURS


@pytest.mark.parametrize(("life", "longest"), [(None, 150.0), (HOURS, 1800.0), (60.0, 15.0)])
def test_a_poll_is_put_off_for_a_quarter_of_its_model_s_link_life(
    bench: Bench, life: float | None, longest: float
) -> None:
    """A `Retry-After` of an hour is heard as far as the result can wait."""
    own = _with_times(bench, link_seconds=life)
    own.accept()
    own.generating()

    def away(_job_id: JobId, _deps: Deps) -> None:
        raise Transient("away", retry_after=3600)

    run(Step.POLL, away, A, own.deps)

    assert own.due_in(Step.POLL) == pytest.approx(longest, abs=1e-3)


def test_a_task_that_no_host_knows_holds_no_slot_for_hours(bench: Bench) -> None:
    """Long as a video's link would live, its job ends as lost when an image's would."""
    own = _with_times(bench, link_seconds=HOURS)
    own.accept()
    own.generating()
    own.server.script = answer(404, b"{}")

    own.clock.now += 602
    poll(A, own.deps)
    assert own.job.status is Status.GENERATING
    own.clock.now += 1
    poll(A, own.deps)

    assert own.error == FailureCode.LOST


@pytest.mark.parametrize(("own", "seconds"), [(None, 86_400.0), (900.0, 900.0)])
def test_a_job_times_out_at_its_model_s_deadline(
    bench: Bench, own: float | None, seconds: float
) -> None:
    """The same goes for a job that is sent again."""
    timed = _with_times(bench, deadline_seconds=own)
    timed.accept()
    timed.store.fail(A, FailureCode.LOST, "a test")
    settings = timed.deps.settings

    again = DeadLetters(timed.store, timed.deps.objects, settings).retry(timed.job)

    assert settings.deadline_seconds(MODEL) == seconds
    job = timed.store.load(again)
    assert job is not None
    assert job.request.deadline_at == pytest.approx(timed.clock.now + seconds, abs=1e-3)
    assert timed.redis.zscore("due", f"deadline:{again}") == job.request.deadline_at


def test_a_model_that_is_not_known_has_the_usual_deadline(bench: Bench) -> None:
    """It was taken out of the models file: its jobs are sent again all the same."""
    settings = bench.deps.settings

    assert settings.deadline_seconds("gone") == settings.job_deadline_seconds


def test_a_poll_that_crashes_is_not_put_off_beyond_its_link_s_life(bench: Bench) -> None:
    """The record may be what crashes it, so only single fields are read for that."""
    own = _with_times(bench, link_seconds=1.0)
    own.accept()
    own.generating()

    def broken(_job_id: JobId, _deps: Deps) -> None:
        raise ArithmeticError

    for _ in range(4):
        with pytest.raises(ArithmeticError):
            run(Step.POLL, broken, A, own.deps)

    assert own.due_in(Step.POLL) == pytest.approx(0.25, abs=1e-3)
