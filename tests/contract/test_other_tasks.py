"""Word of another task than the job's: it is not believed, and the provider is asked."""

import logging

import pytest

from core.jobs.failures import FailureCode
from core.jobs.status import Status, Step
from core.operations.provider_results import apply_notice
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change
from tests.contract.harness import A, Bench, said
from worker.steps.poll import poll

THEIRS = "https://delivery.example/of-another-job.jpeg"
READY = Notice(kind=Kind.READY, status="Ready", provider_id="t2", url=THEIRS, expires_at=4e9)
FAILED = Notice(kind=Kind.FAILED, status="Error", provider_id="t2", message="theirs")
MODERATED = Notice(
    kind=Kind.FAILED,
    status="Content Moderated",
    provider_id="t2",
    code=FailureCode.CONTENT_MODERATED,
)
#: A link that an answer about another task holds.
_RESULT = {"sample": THEIRS}


@pytest.mark.parametrize("notice", [READY, FAILED, MODERATED], ids=lambda notice: notice.status)
def test_a_webhook_of_another_task_is_not_believed(
    bench: Bench, caplog: pytest.LogCaptureFixture, notice: Notice
) -> None:
    """The job keeps its task, its own task is asked about at once, and the log warns."""
    bench.accept()
    bench.generating()

    with caplog.at_level(logging.WARNING):
        assert not apply_notice(bench.store, A, notice, "webhook", b"{}")

    assert bench.job.status is Status.GENERATING
    assert (bench.job.provider_id, bench.job.result_url, bench.job.error) == ("t1", None, None)
    assert Step.POLL in bench.tasks("submit")
    assert "webhook.other_task" in caplog.text


def test_a_webhook_of_the_job_s_own_task_is_believed(bench: Bench) -> None:
    """The usual case, in the presence of the rule."""
    bench.accept()
    bench.generating(provider_id="t2")

    assert apply_notice(bench.store, A, READY, "webhook", b"{}")

    assert bench.job.status is Status.STORING


@pytest.mark.parametrize(
    "fields", [{"provider_id": None}, {"resubmits": 1}], ids=["task unknown", "submitted twice"]
)
def test_a_webhook_is_believed_if_the_task_may_be_the_job_s(
    bench: Bench, fields: dict[str, object]
) -> None:
    """The answer named no task, or a repeated submit may have made two: either image is right."""
    bench.accept()
    bench.generating(**fields)

    assert apply_notice(bench.store, A, READY, "webhook", b"{}")

    assert bench.job.status is Status.STORING
    assert bench.job.result_url == THEIRS


def test_a_webhook_is_believed_while_the_submit_is_in_doubt(bench: Bench) -> None:
    """No task is known yet: the path and the secret of the webhook name the job."""
    bench.accept()

    assert apply_notice(bench.store, A, READY, "webhook", b"{}")

    assert bench.job.status is Status.STORING


@pytest.mark.parametrize(
    "body",
    [
        {"id": "t2", "status": "Ready", "result": _RESULT},
        {"task_id": "t2", "status": "SUCCESS", "result": _RESULT},
        {"id": "t2", "status": "Error", "details": {"error": "theirs"}},
    ],
    ids=["ready", "task_id", "failed"],
)
def test_an_answer_about_another_task_is_not_believed(bench: Bench, body: object) -> None:
    """get_result answers with another task than the one asked for: the job is asked about again."""
    bench.accept()
    bench.generating()
    bench.server.script = said(200, body)

    poll(A, bench.deps)

    assert bench.job.status is Status.GENERATING
    assert (bench.job.provider_id, bench.job.result_url, bench.job.error) == ("t1", None, None)
    assert (bench.due_in(Step.POLL) or 0) > 0


def test_a_provider_that_only_answers_about_another_task_ends_the_job(bench: Bench) -> None:
    """It does not hold its slot until the deadline, and the error says why."""
    bench.accept()
    bench.generating()
    bench.server.script = said(200, {"id": "t2", "status": "Ready", "result": _RESULT})

    for _ in range(4):
        poll(A, bench.deps)
        bench.clock.now += 2 * bench.deps.settings.webhook_overdue_seconds

    assert bench.job.status is Status.FAILED
    assert bench.error == FailureCode.PROVIDER_ERROR
    assert "another task" in str(bench.job.error)


def test_either_task_s_answer_counts_after_a_repeated_submit(bench: Bench) -> None:
    """The polling URL may be the one task's, and the id the other's: both made the job's image."""
    bench.accept()
    bench.generating()
    assert bench.store.change(A, {Status.GENERATING}, Change(set={"resubmits": 1}))
    bench.server.script = said(200, {"id": "t2", "status": "Ready", "result": _RESULT})

    poll(A, bench.deps)

    assert bench.job.status is Status.STORING
