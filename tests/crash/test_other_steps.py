"""The same for the steps that only some jobs have: poll, and the clean-up of inputs."""

import base64
import io
import json
import os
import signal
from collections.abc import Iterator
from typing import Any, Final

import pytest
from PIL import Image

from core.jobs.status import Step
from stack.stack import Stack
from tests.crash.conftest import CrashingProcesses, crash_stack
from tests.crash.crash_point import file_of
from tests.crash.kill_at_every_line import kill_at_every_line, small, started, stopped, task_waits
from tests.e2e.conftest import Customer


@pytest.fixture(scope="module")
def loaded() -> Iterator[Stack]:
    """Run a stack whose provider is asked for no webhook."""
    with crash_stack(webhooks=False) as stack:
        yield stack


def test_poll_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """Wherever poll dies, the result is asked for again, and the job succeeds."""
    stopped(customer, "worker.submit")
    worker = crashing(customer.stack, "submit", Step.POLL)
    waits = task_waits(customer, Step.POLL, "submit")
    sweep = customer.stack.processes["worker.sweep"].pid

    def send(count: int) -> list[str]:
        os.kill(sweep, signal.SIGSTOP)  # so that no poll comes due before the kill
        try:
            sent = customer.send(count, small)
            worker.run()  # submits them
        finally:
            os.kill(sweep, signal.SIGCONT)
        return sent

    jobs, lines = kill_at_every_line(customer, worker, waits, send)
    started(customer, "worker.submit")

    customer.judge(customer.wait_for_end(jobs, 90))
    assert len(lines) > 100
    assert "worker/steps/poll.py" in set(map(file_of, lines))


#: Where the step that tells of a generating job touches the world.
_PROGRESS: Final = (
    "worker/steps/callbacks/progress.py",
    "worker/clients/callbacks.py",
    "core/redis/store.py",
)


def test_progress_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """Wherever the step dies, it is told that the job is generating, with one message id."""
    stopped(customer, "worker.notify", "worker.sweep")  # without polls the jobs stay generating
    worker = crashing(customer.stack, "notify", Step.PROGRESS, "", "", *_PROGRESS)
    waits = task_waits(customer, Step.PROGRESS, "notify")
    both = ["job.generating", "job.succeeded"]

    def order(number: int) -> dict[str, Any]:
        return small(number) | {"callback": {"url": customer.receiver.url, "events": both}}

    def told(job_id: str) -> dict[str, set[str]]:
        ids: dict[str, set[str]] = {}
        for callback in customer.receiver.callbacks:
            body = json.loads(callback.body)
            if body["data"]["id"] == job_id:
                ids.setdefault(body["type"], set()).add(callback.headers["webhook-id"])
        return ids

    jobs, lines = kill_at_every_line(
        customer, worker, waits, lambda count: customer.send(count, order)
    )
    stopped(customer, "worker.submit")
    started(customer, "worker.notify", "worker.sweep")
    customer.eventually(lambda: all("job.generating" in told(job_id) for job_id in jobs), 60)
    started(customer, "worker.submit")

    assert {job["status"] for job in customer.wait_for_end(jobs, 90)} == {"succeeded"}
    for job_id in jobs:
        assert told(job_id) == {
            "job.generating": {f"msg_{job_id}_generating"},
            "job.succeeded": {f"msg_{job_id}"},
        }
    assert set(map(file_of, lines)) == set(_PROGRESS)


def _edit(_number: int) -> dict[str, Any]:
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(picture, "PNG")
    encoded = base64.b64encode(picture.getvalue()).decode()
    return {"model": "flux-kontext-pro", "input": {"prompt": "edit", "input_image": encoded}}


def test_cleanup_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """Wherever the clean-up dies, no input is left in the bucket in the end."""
    stopped(customer, "worker.collect")
    worker = crashing(customer.stack, "collect", Step.CLEANUP)
    collects = task_waits(customer, Step.COLLECT, "collect")
    cleans = task_waits(customer, Step.CLEANUP, "collect")

    # The first to die has collected all that waited by then; the next ones meet the clean-ups.
    jobs, lines = kill_at_every_line(
        customer,
        worker,
        lambda job_id: collects(job_id) or cleans(job_id),
        lambda count: customer.send(count, _edit),
    )
    started(customer, "worker.collect")

    customer.judge(customer.wait_for_end(jobs, 90))
    s3, bucket = customer.stack.s3(), customer.stack.bucket
    customer.eventually(
        lambda: s3.list_objects_v2(Bucket=bucket, Prefix="_inputs/")["KeyCount"] == 0, 30
    )
    assert len(lines) > 40
    assert "worker/steps/cleanup.py" in set(map(file_of, lines))
