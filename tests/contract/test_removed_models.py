"""A job whose model was taken out of the models file meanwhile comes to an end that says so."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from core.jobs.drop_in_views import task_view
from core.jobs.failures import FailureCode
from core.jobs.status import CallbackState, Status, Step
from core.jobs.views import job_view
from core.operations.dead_letters import DeadLetters
from core.redis.change import Change
from tests.contract.harness import A, Bench, said
from tests.contract.jobs import make_request
from tests.contract.scripted_server import answer
from worker.deps import Deps
from worker.steps.collect import collect
from worker.steps.notify import notify
from worker.steps.poll import poll
from worker.steps.submit import submit
from worker.tasks import run

#: Seconds of a first doubt, in the tests' settings.
DOUBT = 6.0
MODEL = make_request().model


def _without(bench: Bench, **more: Any) -> Deps:
    """Return what the steps work with once the job's model is no longer in the models file."""
    known = {name: one for name, one in bench.deps.settings.models.items() if name != MODEL}
    settings = bench.deps.settings.model_copy(update={"models": known, **more})
    return replace(bench.deps, settings=settings)


def _posted(bench: Bench) -> None:
    change = Change(set={"posting_at": bench.clock.now, "posting_by": "died"})
    assert bench.store.change(A, {Status.SUBMITTING}, change)


def test_one_that_was_not_posted_is_refused(bench: Bench) -> None:
    """Nothing is posted, and the caller is told the model's name."""
    bench.accept()

    run(Step.SUBMIT, submit, A, _without(bench))

    assert bench.server.requests == []
    assert bench.error == FailureCode.PROVIDER_REJECTED
    assert MODEL in str((bench.job.error or {})["message"])


@pytest.mark.parametrize("public", [{}, {"public_url": "https://relay.example"}])
def test_one_in_doubt_waits_as_long_as_others_do(bench: Bench, public: Mapping[str, Any]) -> None:
    """It may have been made, and its webhook may come."""
    bench.accept()
    _posted(bench)
    bench.clock.now += DOUBT - 1

    run(Step.SUBMIT, submit, A, _without(bench, **public))

    assert bench.due_in(Step.SUBMIT) == 1
    assert bench.job.status is Status.SUBMITTING


@pytest.mark.parametrize("public", [{}, {"public_url": "https://relay.example"}])
def test_a_doubt_that_nothing_settles_ends_as_lost(bench: Bench, public: Mapping[str, Any]) -> None:
    """It cannot be posted again, and the caller is told that it may have been paid for."""
    bench.accept()
    _posted(bench)
    bench.clock.now += DOUBT

    run(Step.SUBMIT, submit, A, _without(bench, **public))

    assert bench.error == FailureCode.LOST
    assert "paid for" in str((bench.job.error or {})["message"])


def test_one_that_waits_to_be_posted_again_ends_as_lost(bench: Bench) -> None:
    """Its first submit may have been taken, so it is not told as one that was refused."""
    bench.accept()
    assert bench.store.change(A, {Status.SUBMITTING}, Change(set={"resubmits": 1}))

    run(Step.SUBMIT, submit, A, _without(bench))

    assert bench.error == FailureCode.LOST
    message = str((bench.job.error or {})["message"])
    assert MODEL in message
    assert "paid for" in message


def test_its_task_is_polled_and_its_image_stored(
    bench: Bench, picture: Callable[[str], bytes]
) -> None:
    """What was made is paid for: it is asked for, copied, and its caller is told."""
    bench.accept(callback_url=f"{bench.server.url}/callback")
    bench.generating()
    deps = _without(bench)
    sample = f"{bench.server.url}/image"
    bench.server.script = said(200, {"id": "t1", "status": "Ready", "result": {"sample": sample}})
    run(Step.POLL, poll, A, deps)
    bench.server.script = answer(200, picture("PNG"))
    run(Step.COLLECT, collect, A, deps)
    assert bench.job.status is Status.SUCCEEDED

    bench.server.script = answer(204)
    run(Step.NOTIFY, notify, A, deps)

    assert bench.job.callback_state is CallbackState.DELIVERED
    told = json.loads(bench.server.requests[-1].body)
    assert (told["type"], told["data"]["model"]) == ("job.succeeded", MODEL)


def test_a_result_that_died_is_not_made_again(bench: Bench) -> None:
    """There is nothing to post it as, so its caller is told why there is no image."""
    bench.accept(regenerate=True)
    bench.storing(lives_for=-1)
    bench.server.script = answer(403)

    run(Step.COLLECT, collect, A, _without(bench))

    assert bench.error == FailureCode.RESULT_EXPIRED


@pytest.mark.parametrize("origin", [None, "https://relay.example"])
def test_it_is_shown(bench: Bench, origin: str | None) -> None:
    """Neither API needs the model to show the job."""
    bench.accept(**({"origin": origin} if origin else {}))
    run(Step.SUBMIT, submit, A, _without(bench))

    assert job_view(bench.job)["model"] == MODEL
    assert task_view(bench.job, "https://relay.example", "master")["status"] == "Error"


def test_sent_again_it_ends_as_it_did(bench: Bench) -> None:
    """The new job is refused as well, and names the model."""
    bench.accept()
    assert bench.store.fail(A, FailureCode.LOST, "for the test")
    deps = _without(bench)
    store = bench.store

    again = DeadLetters(store, deps.objects, deps.settings).retry(bench.job)
    run(Step.SUBMIT, submit, again, deps)

    job = store.load(again)
    assert job is not None
    assert job.error is not None
    assert job.error["code"] == FailureCode.PROVIDER_REJECTED
