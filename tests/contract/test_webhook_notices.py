"""What a webhook says of a task, believed only where it can be true."""

import json
from typing import Any

import pytest

from core.jobs.status import Status, Step
from core.jobs.views import job_view
from core.operations.provider_results import apply_notice
from core.provider.wire_format import Kind, Notice, parse_notice
from core.redis.change import Change
from tests.contract.harness import A, Bench

FAILED = Notice(kind=Kind.FAILED, status="Error", provider_id="first", message="m")


def test_an_unclear_webhook_has_the_provider_asked(bench: Bench) -> None:
    """Something happened: the poll does not wait until the webhook would be overdue."""
    bench.accept()
    bench.generating()

    apply_notice(bench.store, A, Notice(kind=Kind.UNCLEAR, status="odd"), "webhook", b"{}")

    assert Step.POLL in bench.tasks("submit")


def test_a_result_starts_its_copy(bench: Bench) -> None:
    """The minutes of a result run: its copy is started in the same step."""
    bench.accept()
    bench.generating()

    ready = Notice(kind=Kind.READY, status="Ready", url="https://x/i", expires_at=1.0)
    assert apply_notice(bench.store, A, ready, "webhook")

    assert bench.tasks("collect") == [Step.COLLECT]


def test_a_failure_of_the_first_task_does_not_end_the_second(bench: Bench) -> None:
    """A doubt was repeated; now word comes that the first of the two tasks failed."""
    bench.accept()
    bench.generating(provider_id="second", resubmits=1)

    assert not apply_notice(bench.store, A, FAILED, "webhook")

    assert bench.job.status is Status.GENERATING


@pytest.mark.parametrize(
    ("fields", "ends"),
    [
        ({"posting_at": 1.0, "posting_by": "claim"}, False),  # being posted
        ({"posting_at": 1.0, "posting_by": "claim", "doubt_until": 2e9}, True),  # in doubt
        ({}, True),  # not posted yet
    ],
    ids=["in flight", "in doubt", "not posted"],
)
def test_a_late_failure_while_the_job_is_submitted_again(
    bench: Bench, fields: dict[str, Any], *, ends: bool
) -> None:
    """The second task may just be made: the first one's failure says nothing of it."""
    bench.accept()
    assert bench.store.change(A, {Status.SUBMITTING}, Change(set={"resubmits": 1, **fields}))

    assert apply_notice(bench.store, A, FAILED, "webhook") is ends

    assert bench.job.status is (Status.FAILED if ends else Status.SUBMITTING)


@pytest.mark.parametrize("status", ["Ready", "Error", "Pending", "\\ud800"])
@pytest.mark.parametrize("field", ["id", "sample", "details", "error"])
def test_half_a_character_in_a_webhook_stops_nothing(bench: Bench, status: str, field: str) -> None:
    """A lone surrogate, which JSON can hold and UTF-8 cannot, is replaced."""
    broken = "https://delivery.example/\\ud800.png"
    values = {"id": "t1", "sample": "https://delivery.example/a.png", "details": "d", "error": "e"}
    values[field] = broken
    raw = (
        f'{{"id": "{values["id"]}", "status": "{status}", "error": "{values["error"]}",'
        f' "result": {{"sample": "{values["sample"]}"}},'
        f' "details": {{"error": "{values["details"]}", "{values["details"]}": 1}}}}'
    ).encode()
    bench.accept(callback_url="https://h/c")
    bench.generating(provider_id="t1")

    apply_notice(bench.store, A, parse_notice(raw, bench.clock.now, 600), "webhook", raw)

    assert bench.job.status is not Status.SUBMITTING
    # What a caller is shown can be written as UTF-8, which its reader may insist on.
    assert json.dumps(job_view(bench.job), ensure_ascii=False).encode()


@pytest.mark.parametrize("source", ["webhook", "poll"])
def test_a_failure_takes_no_result_away(bench: Bench, source: str) -> None:
    """The first word on a result counts."""
    bench.accept()
    bench.storing()

    assert not apply_notice(bench.store, A, FAILED, source)

    assert bench.job.status is Status.STORING


@pytest.mark.parametrize("standing", [Status.SUBMITTING, Status.GENERATING])
def test_a_webhook_that_settles_a_doubt_is_on_disk(bench: Bench, standing: Status) -> None:
    """It comes once; were it lost with Redis, the job would be posted, and paid for, again."""
    bench.accept()
    if standing is Status.GENERATING:
        bench.generating()
    before = bench.confirmations()

    apply_notice(bench.store, A, Notice(kind=Kind.PENDING, status="p", provider_id="t1"), "webhook")

    assert bench.job.status is Status.GENERATING
    assert bench.confirmations() == before + 1
