"""What the provider says while it is busy, or has just begun: how the jobs end all the same."""

from collections.abc import Mapping
from typing import Any

import pytest

from core.jobs.status import Status, Step
from tests.contract.harness import A, Bench, said
from tests.contract.jobs import accept, standing
from tests.contract.result_links import named
from tests.contract.scripted_server import answer
from worker.steps.account import check_account
from worker.steps.poll import poll
from worker.steps.submit import submit
from worker.tasks import run

QUEUED, SUBMITTING = Status.QUEUED, Status.SUBMITTING
LINK = "https://delivery.example/a.png"
NO_CREDITS = said(402, {"detail": "Insufficient credits"})
NOT_FOUND = (
    answer(404, b"{}"),
    said(404, {"id": "t1", "status": "Task not found"}),
    said(200, {"id": "t1", "status": "Task not found", "result": None}),
)


@pytest.mark.parametrize(
    ("told", "status", "code"),
    [
        ({"status": "Error", "details": {"error": "x"}}, Status.FAILED, "provider_error"),
        ({"status": "Content Moderated"}, Status.FAILED, "content_moderated"),
        ({"status": "Ready", "result": {"sample": LINK}}, Status.STORING, None),
        ({"status": "Generating", "progress": 0.5}, Status.GENERATING, None),
    ],
)
@pytest.mark.parametrize("http", [503, 500, 429, 402])
def test_a_task_s_answer_counts_although_its_status_is_an_error_s(
    bench: Bench, http: int, told: Mapping[str, Any], status: Status, code: str | None
) -> None:
    """`get_result` has been seen to answer 503 with the task's usual body: the body is read."""
    bench.accept()
    bench.generating()
    bench.server.script = said(http, {"id": "t1", **told})

    run(Step.POLL, poll, A, bench.deps)

    assert bench.job.status is status
    assert (bench.job.error or {}).get("code") == code


@pytest.mark.parametrize("script", NOT_FOUND)
def test_a_task_that_is_not_found_yet_is_asked_about_again(bench: Bench, script: Any) -> None:
    """In the first seconds after the submit no host knows it; then its result is stored."""
    bench.accept()
    bench.server.script = said(200, {"id": "t1", "polling_url": f"{bench.server.url}/first"})
    submit(A, bench.deps)

    bench.server.script = script
    for _ in range(5):
        run(Step.POLL, poll, A, bench.deps)
        assert bench.job.status is Status.GENERATING
        assert 0 < (bench.due_in(Step.POLL) or 0) < 2
        bench.clock.now += 1
    bench.server.script = named(LINK)
    run(Step.POLL, poll, A, bench.deps)

    assert (bench.job.status, bench.job.result_url) == (Status.STORING, LINK)


def test_402_with_credits_left_is_answered_with_one_probe(bench: Bench) -> None:
    """The account rests, is checked, and then tried with one job; once that is taken, all go."""
    assert bench.store.take_sweep_lease("token", 6000)
    bench.accept()
    bench.server.script = NO_CREDITS
    submit(A, bench.deps)
    accept(bench.store, "1", "2", "3")
    assert (bench.job.status, bench.job.error) == (QUEUED, None)
    bench.store.sweep("token", 6000)
    assert standing(bench.store, "1 2 3", QUEUED) == "1 2 3"

    bench.clock.now += 2
    bench.server.script = said(200, {"credits": 610})
    check_account("default", bench.deps)
    bench.store.sweep("token", 6000)
    assert bench.job.status is SUBMITTING
    assert standing(bench.store, "1 2 3", QUEUED) == "1 2 3"

    bench.server.script = said(200, {"id": "t1"})
    submit(A, bench.deps)
    assert bench.job.status is Status.GENERATING
    assert standing(bench.store, "1 2 3", SUBMITTING) == "1 2 3"


def test_402_again_and_again_is_one_probe_each_time(bench: Bench) -> None:
    """As long as it goes on, each check is followed by one submit, and no job fails."""
    bench.accept()
    accept(bench.store, "1", "2")
    posts = []
    for _ in range(4):
        bench.server.script = NO_CREDITS
        before = len(bench.server.requests)
        submit(A, bench.deps)
        posts.append(len(bench.server.requests) - before)
        bench.clock.now += 40
        bench.server.script = said(200, {"credits": 610})
        check_account("default", bench.deps)

    assert posts == [1, 1, 1, 1]
    assert bench.job.status is SUBMITTING
    assert bench.job.error is None
