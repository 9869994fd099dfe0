"""What an answer to a submit does to the account: it rests, shrinks, or is trusted again."""

import json

import pytest

from core.jobs.failures import FailureCode
from core.jobs.status import Status, Step
from core.jobs.views import job_view
from core.redis.change import Change
from core.scheduling import circuit_breakers
from tests.contract.harness import A, Bench, meanwhile, said
from tests.contract.scripted_server import Script, answer
from worker.steps.account import check_account
from worker.steps.submit import submit

BREAKER = f"breaker:{circuit_breakers.provider('default')}"
TAKEN = said(200, {"id": "t1", "polling_url": "https://api.example/x"})


def test_an_account_without_credits_is_refused(bench: Bench) -> None:
    """The job waits, the account makes nothing, and is asked about soon."""
    bench.accept()
    bench.server.script = said(402, {"detail": "no credits"})

    submit(A, bench.deps)

    assert bench.job.status is Status.QUEUED
    assert str(bench.redis.get("pool:default:refused")).startswith("402")
    assert bench.redis.zscore("due", "account:default") == bench.clock.now + 0.5


def test_an_account_that_is_served_again_is_tried_with_one_job(bench: Bench) -> None:
    """Its few credits may not suffice, so a breaker lets one job go first."""
    bench.accept()
    bench.server.script = said(402, {"detail": "no credits"})

    submit(A, bench.deps)

    assert bench.redis.exists(BREAKER)


def test_a_busy_account_shrinks(bench: Bench) -> None:
    """429: no more than are active are granted, here none, for as long as the provider wishes."""
    bench.accept()
    bench.server.script = answer(429, b"{}", "retry-after: 7")

    submit(A, bench.deps)

    assert bench.job.status is Status.QUEUED
    assert bench.redis.get("pool:default:paused") == "busy"
    assert 6000 < bench.redis.pttl("pool:default:paused") <= 7000


@pytest.mark.parametrize("stated", ["999999", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_no_answer_stops_an_account_for_days(bench: Bench, stated: str) -> None:
    """A slip in one header, or a date far ahead, counts for as long as the settings say."""
    bench.accept()
    bench.server.script = answer(429, b"{}", f"retry-after: {stated}")

    submit(A, bench.deps)

    assert 290_000 < bench.redis.pttl("pool:default:paused") <= 300_000


@pytest.mark.parametrize("way", ["taken", "refused", "busy", "overtaken"])
def test_an_answer_mends_the_breaker(bench: Bench, way: str) -> None:
    """Whatever it says, the provider is back."""
    bench.accept()
    bench.redis.hset(BREAKER, mapping={"failures": 3})
    bench.server.script = {
        "taken": TAKEN,
        "refused": said(422),
        "busy": said(429),
        "overtaken": meanwhile(bench.storing, TAKEN),
    }[way]

    submit(A, bench.deps)

    assert not bench.redis.exists(BREAKER)


@pytest.mark.parametrize(
    "script",
    [
        answer(503, b'{"detail": "Model is over capacity and temporarily shedding requests"}'),
        answer(503, b"<h1>Shedding load</h1>"),
        answer(503, b'{"error": "OVER_CAPACITY"}'),
        answer(425, b""),
    ],
)
def test_a_submit_that_was_turned_away_untouched_is_no_doubt(bench: Bench, script: Script) -> None:
    """The job goes back to its place, and the provider is left alone for a moment."""
    bench.accept()
    bench.server.script = script

    submit(A, bench.hooked)

    job = bench.job
    assert (job.status, job.posting_at, job.doubt_until) == (Status.QUEUED, None, None)
    assert bench.redis.exists(BREAKER)


def test_a_provider_that_sheds_load_says_for_how_long(bench: Bench) -> None:
    """Its `Retry-After` pauses the account, and the reason is kept with that."""
    bench.accept()
    bench.server.script = answer(503, b'{"detail": "shedding requests"}', "retry-after: 9")

    submit(A, bench.hooked)

    assert bench.redis.get("pool:default:paused") == "the provider answered 503"
    assert 8000 < bench.redis.pttl("pool:default:paused") <= 9000


def test_an_account_whose_credits_are_used_up_is_refused_before_a_job_is(bench: Bench) -> None:
    """It answers, but has nothing left: no job is sent into a refusal."""
    bench.server.script = said(200, {"credits": 0})

    check_account("default", bench.deps)

    assert bench.redis.get("pool:default:refused") == "402 no credits left"


def test_an_account_that_is_gone_is_not_asked_about_for_ever(bench: Bench) -> None:
    """It is configured no more: its check ends."""
    bench.redis.zadd("due", {f"{Step.ACCOUNT}:gone": 1.0})

    check_account("gone", bench.deps)

    assert bench.redis.zscore("due", f"{Step.ACCOUNT}:gone") is None


def test_a_late_task_gives_no_job_back_that_has_its_image(bench: Bench) -> None:
    """Its image is known, and its account is configured no more: it is not made a second time."""
    bench.accept()
    assert bench.store.change(A, {Status.SUBMITTING}, Change(set={"pool": "gone"}))
    bench.storing()

    submit(A, bench.deps)

    assert bench.job.status is Status.STORING


def test_a_late_doubt_puts_off_nobody(bench: Bench) -> None:
    """The lease of a newer run stays as short as it was: that run may die, too."""
    bench.accept()

    def newer() -> None:
        claim = Change(set={"posting_at": 1.0, "posting_by": "newer"}, due={Step.SUBMIT: 9.0})
        assert bench.store.change(A, {Status.SUBMITTING}, claim)

    bench.server.script = meanwhile(newer, said(503))

    submit(A, bench.hooked)

    assert bench.redis.zscore("due", f"{Step.SUBMIT}:{A}") == 9


@pytest.mark.parametrize(
    "detail", ["half \ud83d", [{"loc": ["body", "\udfff"], "msg": "\ud800"}], "\udc00\ud800"]
)
def test_a_refusal_with_half_a_character_is_told_in_whole_ones(
    bench: Bench, detail: object
) -> None:
    """What a caller is shown can be written as UTF-8, which its reader may insist on."""
    bench.accept(callback_url="https://h/c")
    bench.server.script = said(422, {"detail": detail})

    submit(A, bench.deps)

    assert bench.error == FailureCode.PROVIDER_REJECTED
    told = json.dumps(job_view(bench.job), ensure_ascii=False).encode().decode()
    assert "\ufffd" in told
