"""A worker is killed at each line of each step, once; then the rest of the system finishes."""

import json

from core.jobs.status import Step
from tests.crash.conftest import CrashingProcesses
from tests.crash.crash_point import file_of
from tests.crash.kill_at_every_line import survives
from tests.e2e.conftest import Customer


def test_submit_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """Wherever submit dies, the job is made once, stored and told."""
    lines = survives(customer, crashing, "submit", Step.SUBMIT)

    assert len(lines) > 200
    assert "worker/clients/provider.py" in set(map(file_of, lines))


def test_collect_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """Wherever collect dies, the image lies in S3 whole, and the job succeeds."""
    lines = survives(customer, crashing, "collect", Step.COLLECT)

    assert len(lines) > 250
    assert "core/storage/object_store.py" in set(map(file_of, lines))


def test_notify_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """Wherever notify dies, the caller is told, with the same message id."""
    lines = survives(customer, crashing, "notify", Step.NOTIFY)

    assert len(lines) > 200
    by_job: dict[str, set[str]] = {}
    for callback in customer.receiver.callbacks:
        job_id = json.loads(callback.body)["data"]["id"]
        by_job.setdefault(job_id, set()).add(callback.headers["webhook-id"])
    assert all(len(ids) == 1 for ids in by_job.values())
