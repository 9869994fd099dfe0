"""A model with a limit of its own that the provider will not take: it rests, and others go on."""

import math
import time

import pytest

from core.jobs.failures import FailureCode
from core.jobs.job import JobId
from core.jobs.status import Status
from core.operations.metrics import take_snapshot
from core.scheduling import circuit_breakers
from tests.contract.harness import A, Bench, said
from tests.contract.jobs import accept, standing
from tests.contract.scripted_server import Script, answer
from worker.steps.account import check_account
from worker.steps.submit import submit

QUEUED, SUBMITTING = Status.QUEUED, Status.SUBMITTING
LIMITED = "flux-kontext-max"
OWN = circuit_breakers.provider("default", LIMITED)
ACCOUNT = circuit_breakers.provider("default")
CEILING = f"pool:default:ceiling:{LIMITED}"
NO_CREDITS = said(402, {"detail": "Insufficient credits"})
SHEDS = b'{"detail": "The model is over capacity and temporarily shedding requests"}'
TAKEN = said(200, {"id": "t1", "polling_url": "https://api.example/x"})


def _sweep(bench: Bench) -> None:
    assert bench.store.sweep("token", 6000) is not None


def _refused(bench: Bench, script: Script, *others: str) -> None:
    """Have the provider refuse a job of the limited model, beside others of it."""
    assert bench.store.take_sweep_lease("token", 6000)
    bench.accept(model=LIMITED)
    accept(bench.store, *others, model=LIMITED)
    bench.server.script = script
    submit(A, bench.deps)


def _rested(bench: Bench) -> None:
    """Let every rest be over."""
    bench.redis.delete(CEILING)
    bench.clock.now += 2
    _sweep(bench)


def _images_go_on(bench: Bench) -> bool:
    """Return whether a job of another model gets a slot, and one of the limited model none."""
    accept(bench.store, "image")
    accept(bench.store, "limited", model=LIMITED)
    return standing(bench.store, "image limited", SUBMITTING) == "image"


def test_a_busy_limit_shrinks_alone(bench: Bench) -> None:
    """429: no more of its tasks than are active are granted, for as long as the provider says."""
    _refused(bench, answer(429, b"{}", "retry-after: 7"), "1", "2")

    assert (bench.job.status, bench.redis.get(CEILING)) == (QUEUED, "2")
    assert 6000 < bench.redis.pttl(CEILING) <= 7000
    assert not bench.redis.exists("pool:default:ceiling", "pool:default:paused")
    assert _images_go_on(bench)
    bench.store.move(JobId("1"), Status.STORING)
    assert bench.job.status is SUBMITTING
    assert standing(bench.store, "limited", QUEUED) == "limited"
    _rested(bench)
    assert standing(bench.store, "limited", SUBMITTING) == "limited"


def test_a_busy_limit_without_us_rests(bench: Bench) -> None:
    """The only active task, refused, is not granted again at once: it would be refused again."""
    _refused(bench, answer(429, b"{}", "retry-after: 60"))

    assert (bench.job.status, bench.redis.get(CEILING)) == (QUEUED, "0")
    assert _images_go_on(bench)
    _rested(bench)
    assert bench.job.status is SUBMITTING


def test_a_video_without_credits_stops_no_image(bench: Bench) -> None:
    """402, as was seen with credits left: the account is checked at once, and images go on."""
    _refused(bench, NO_CREDITS)

    assert bench.job.status is QUEUED
    assert not bench.redis.exists("pool:default:refused")
    assert (bench.redis.zscore("due", "account:default") or math.inf) <= time.time()
    assert _images_go_on(bench)
    bench.server.script = said(200, {"credits": 610})
    check_account("default", bench.deps)
    assert not bench.redis.exists("pool:default:refused")


def test_an_account_with_nothing_left_is_stopped_by_its_check(bench: Bench) -> None:
    """The same refusal with no credits left: no image is sent into another one."""
    _refused(bench, NO_CREDITS)
    bench.server.script = said(200, {"credits": 0})

    check_account("default", bench.deps)

    accept(bench.store, "image")
    assert standing(bench.store, "image", QUEUED) == "image"


@pytest.mark.parametrize(
    "refusal", [NO_CREDITS, answer(503, SHEDS), answer(503, SHEDS, "retry-after: 9")]
)
def test_after_its_rest_a_limit_is_tried_with_one_job(bench: Bench, refusal: Script) -> None:
    """One probe, not a storm of them; once it is taken, all slots of the limit are used."""
    _refused(bench, refusal)
    accept(bench.store, "1", "2", "3", model=LIMITED)

    _rested(bench)
    _sweep(bench)
    assert bench.job.status is SUBMITTING
    assert standing(bench.store, "1 2 3", QUEUED) == "1 2 3"

    bench.server.script = TAKEN
    submit(A, bench.deps)
    assert bench.job.status is Status.GENERATING
    assert standing(bench.store, "1 2 3", SUBMITTING) == "1 2 3"


def test_a_try_that_was_never_posted_is_followed_by_the_next(bench: Bench) -> None:
    """Its inputs were gone, say: that tells nothing, and others need not wait for half a minute."""
    _refused(bench, NO_CREDITS)
    accept(bench.store, "1", "2", model=LIMITED)
    _rested(bench)
    assert bench.job.status is SUBMITTING

    bench.store.fail(A, FailureCode.PROVIDER_REJECTED, "a test")

    assert standing(bench.store, "1 2", SUBMITTING) == "1"


@pytest.mark.parametrize("headers", [(), ("retry-after: 9",)])
def test_an_overloaded_limit_stops_no_image(bench: Bench, headers: tuple[str, ...]) -> None:
    """503 that sheds load: nothing was made, and its `Retry-After` is meant for this model."""
    _refused(bench, answer(503, SHEDS, *headers))

    assert (bench.job.status, bench.job.posting_at) == (QUEUED, None)
    assert (bench.redis.exists(f"breaker:{OWN}"), bench.redis.exists(f"breaker:{ACCOUNT}")) == (
        1,
        0,
    )
    assert not bench.redis.exists("pool:default:paused")
    assert bench.redis.get(CEILING) == ("0" if headers else None)
    assert _images_go_on(bench)


def test_a_doubt_about_a_limited_model_stops_no_image(bench: Bench) -> None:
    """500: the task may exist, and whether other models are in trouble is for them to find out."""
    bench.accept(model=LIMITED)
    bench.server.script = said(500)

    submit(A, bench.hooked)

    assert bench.job.doubt_until is not None
    assert (bench.redis.exists(f"breaker:{OWN}"), bench.redis.exists(f"breaker:{ACCOUNT}")) == (
        1,
        0,
    )
    assert _images_go_on(bench)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_stops_the_whole_account(bench: Bench, status: int) -> None:
    """No model can be made with it."""
    _refused(bench, said(status))

    accept(bench.store, "image")
    assert str(bench.redis.get("pool:default:refused")).startswith(str(status))
    assert standing(bench.store, "image", QUEUED) == "image"


@pytest.mark.parametrize("script", [TAKEN, said(422), said(429)])
def test_an_answer_mends_both_breakers(bench: Bench, script: Script) -> None:
    """Whatever it says, the host and the model's endpoint are there."""
    bench.accept(model=LIMITED)
    for name in (OWN, ACCOUNT):
        bench.redis.hset(f"breaker:{name}", mapping={"failures": 3})
    bench.server.script = script

    submit(A, bench.deps)

    assert not bench.redis.exists(f"breaker:{OWN}", f"breaker:{ACCOUNT}")


def test_an_open_breaker_of_a_limit_is_shown(bench: Bench) -> None:
    """The metrics tell the operator which model is left alone."""
    _refused(bench, answer(503, SHEDS))

    shown = take_snapshot(bench.store, bench.deps.settings.accounts).open_breakers

    assert shown[OWN] is True
    assert shown[ACCOUNT] is False
