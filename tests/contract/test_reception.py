"""What a webhook says of a task, believed only where it can be true."""

import pytest

from core.jobs.job import Status, Step
from core.operations.provider_results import receive
from core.provider.wire_format import Kind, Notice
from tests.contract.bench import A, Bench

FAILED = Notice(kind=Kind.FAILED, status="Error", provider_id="first", message="m")


def test_an_unclear_webhook_has_the_provider_asked(bench: Bench) -> None:
    """Something happened: the poll does not wait until the webhook would be overdue."""
    bench.accept()
    bench.generating()

    receive(bench.store, A, Notice(kind=Kind.UNCLEAR, status="odd"), "webhook", b"{}")

    assert Step.POLL in bench.tasks("submit")


def test_a_result_starts_its_copy(bench: Bench) -> None:
    """The minutes of a result run: its copy is started in the same step."""
    bench.accept()
    bench.generating()

    ready = Notice(kind=Kind.READY, status="Ready", url="https://x/i", expires_at=1.0)
    assert receive(bench.store, A, ready, "webhook")

    assert bench.tasks("collect") == [Step.COLLECT]


def test_a_failure_of_the_first_task_does_not_end_the_second(bench: Bench) -> None:
    """A doubt was repeated; now word comes that the first of the two tasks failed."""
    bench.accept()
    bench.generating(provider_id="second", resubmits=1)

    assert not receive(bench.store, A, FAILED, "webhook")

    assert bench.job.status is Status.GENERATING


@pytest.mark.parametrize("source", ["webhook", "poll"])
def test_a_failure_takes_no_result_away(bench: Bench, source: str) -> None:
    """The first word on a result counts."""
    bench.accept()
    bench.storing()

    assert not receive(bench.store, A, FAILED, source)

    assert bench.job.status is Status.STORING


@pytest.mark.parametrize("standing", [Status.SUBMITTING, Status.GENERATING])
def test_a_webhook_that_settles_a_doubt_is_on_disk(bench: Bench, standing: Status) -> None:
    """It comes once; were it lost with Redis, the job would be posted, and paid for, again."""
    bench.accept()
    if standing is Status.GENERATING:
        bench.generating()
    before = bench.confirmations()

    receive(bench.store, A, Notice(kind=Kind.PENDING, status="p", provider_id="t1"), "webhook")

    assert bench.job.status is Status.GENERATING
    assert bench.confirmations() == before + 1
