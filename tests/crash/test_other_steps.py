"""The same for the steps that only some jobs have: poll, and the clean-up of inputs."""

import base64
import io
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from core.jobs.status import Step
from stack.stack import Stack
from tests.crash.conftest import CrashingProcesses, crash_stack
from tests.crash.kill_at_every_line import kill_at_every_line, small, started, stopped, task_waits
from tests.e2e.conftest import Customer

_NEVER = 10**9


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
            worker.kill_at(_NEVER)  # submits them
        finally:
            os.kill(sweep, signal.SIGCONT)
        return sent

    jobs, places = kill_at_every_line(customer, worker, waits, send)
    started(customer, "worker.submit")

    customer.judge(customer.wait_for_end(jobs, 90))
    assert len(places) > 30
    assert any(place.startswith("worker/steps/poll.py") for place in places)


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
    jobs, places = kill_at_every_line(
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
    assert len(places) > 15
    assert any(place.startswith("worker/steps/cleanup.py") for place in places)
