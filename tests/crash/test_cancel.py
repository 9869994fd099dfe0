"""Death at every line of a cancel, and of the steps that wait for a canceled job's task."""

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from core.jobs.status import Step
from stack.stack import Stack
from tests.crash.conftest import CrashingProcesses, crash_stack
from tests.crash.crash_point import file_of
from tests.crash.kill_at_every_line import (
    EveryLine,
    kill_at_every_line,
    small,
    started,
    stopped,
    task_waits,
)
from tests.e2e.conftest import Customer

_CANCEL = (
    "service/api/cancellation.py",
    "core/operations/cancellation.py",
    "core/redis/transitions.py",
    "core/redis/async_store.py",
    "core/redis/async_scripts.py",
)
Cancel = Callable[[str], int | None]


@pytest.fixture(scope="module")
def loaded() -> Iterator[Stack]:
    """Run a stack whose provider sends no webhooks: a task's end is seen by a poll alone."""
    with crash_stack(webhooks=False) as stack:
        yield stack


@pytest.fixture
def http(customer: Customer) -> Iterator[httpx.Client]:
    """Return a client with a connection per request: one that is kept may have died meanwhile."""
    with httpx.Client(
        base_url=customer.stack.service_url,
        headers={"x-key": customer.stack.api_key},
        limits=httpx.Limits(max_keepalive_connections=0),
        timeout=60,
        trust_env=False,
    ) as client:
        yield client


@pytest.fixture
def cancel(http: httpx.Client) -> Cancel:
    """Return a function that cancels a job; it returns the status, None without an answer."""

    def ask(job_id: str) -> int | None:
        try:
            return http.post(f"/v1/jobs/{job_id}/cancel").status_code
        except httpx.TransportError:
            return None

    return ask


def _all_is_over(customer: Customer, job_ids: list[str], least_tasks: int) -> None:
    """Wait for the end of every task; assert one end, one callback, and free slots."""
    redis = customer.stack.redis()
    customer.eventually(
        lambda: not any(redis.hexists(f"job:{job_id}", "discarding") for job_id in job_ids), 90
    )
    jobs = customer.wait_for_end(job_ids, 90)
    assert {job["status"] for job in jobs} == {"canceled"}
    for job in jobs:
        assert [step["status"] for step in job["timeline"]].count("canceled") == 1
        assert (job["artifacts"], job["provider"]["resubmits"]) == ([], 0)
    told = [callback.headers["webhook-id"] for callback in customer.receiver.callbacks]
    assert set(told) == {f"msg_{job_id}" for job_id in job_ids}
    held = [str(key) for key in redis.scan_iter("slots:*") if redis.zcard(str(key))]
    assert held == []
    prompts = [task["request"]["prompt"] for task in customer.ledger()["tasks"]]
    mine = [prompt for prompt in prompts if prompt in {job["input"]["prompt"] for job in jobs}]
    assert least_tasks <= len(mine) == len(set(mine))
    stored = customer.stack.s3().list_objects_v2(Bucket=customer.stack.bucket)
    keys = [item["Key"] for item in stored.get("Contents", ())]
    assert not any(job_id in key for job_id in job_ids for key in keys)


def test_a_cancel_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses, http: httpx.Client, cancel: Cancel
) -> None:
    """Wherever the service dies, the job is canceled or not; asked again, it is, once."""
    stopped(customer, "service", "worker.sweep")  # nothing is polled for without a sweep
    service = crashing.service(customer.stack, "/v1/jobs/", *_CANCEL)
    batch = uuid.uuid4().hex
    jobs: list[str] = []
    every = EveryLine(service)
    for life in every:
        life.order()
        if jobs:
            assert cancel(jobs[-1]) == 200
        order = small(len(jobs))
        order["input"]["prompt"] = f"{batch} {len(jobs)}"
        body = order | {"callback": {"url": customer.receiver.url}}
        jobs.append(str(http.post("/v1/jobs", json=body).json()["id"]))
        customer.eventually(lambda: customer.job(jobs[-1])["status"] == "generating")
        answered = cancel(jobs[-1])
        assert answered == (None if life.ends() else 200)
    service.end()
    started(customer, "service", "worker.sweep")

    _all_is_over(customer, jobs, len(jobs))
    assert every.files == set(_CANCEL)


def test_a_cancel_of_a_job_whose_submit_died_at_any_line(
    customer: Customer, crashing: CrashingProcesses, cancel: Cancel
) -> None:
    """Whether the provider has the task or not, it is never posted again, and the slot is freed."""
    stopped(customer, "worker.submit", "worker.sweep")
    worker = crashing(customer.stack, "submit", Step.SUBMIT)
    waits = task_waits(customer, Step.SUBMIT, "submit")
    batch = uuid.uuid4().hex

    def order(number: int) -> dict[str, Any]:
        return small(number) | {"input": {"prompt": f"{batch} {len(jobs)} {number}"}}

    jobs: list[str] = []
    every = EveryLine(worker)
    for life in every:
        (job_id,) = customer.send(1, order)
        jobs.append(job_id)
        customer.eventually(lambda: waits(jobs[-1]))
        life.run()
        assert cancel(job_id) == 200
    started(customer, "worker.submit", "worker.sweep")

    _all_is_over(customer, jobs, 1)
    assert len(every.lines) > 200
    assert "worker/clients/provider.py" in every.files


def test_the_poll_of_a_canceled_job_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses, cancel: Cancel
) -> None:
    """Wherever the poll dies, the task is asked about again, and its slot is freed once."""
    stopped(customer, "worker.submit")
    worker = crashing(customer.stack, "submit", Step.POLL)
    sweep = customer.stack.processes["worker.sweep"].pid
    waits = task_waits(customer, Step.POLL, "submit")
    batch = uuid.uuid4().hex

    def order(number: int) -> dict[str, Any]:
        return small(number) | {"input": {"prompt": f"{batch} {uuid.uuid4().hex}"}}

    def send(count: int) -> list[str]:
        os.kill(sweep, signal.SIGSTOP)  # so that no poll comes due before the kill
        try:
            sent = customer.send(count, order)
            worker.run()  # submits them
            assert [cancel(job_id) for job_id in sent] == [200] * count
        finally:
            os.kill(sweep, signal.SIGCONT)
        return sent

    jobs, lines = kill_at_every_line(customer, worker, waits, send)
    started(customer, "worker.submit")

    _all_is_over(customer, jobs, len(jobs))
    assert len(lines) > 100
    assert "worker/steps/poll.py" in set(map(file_of, lines))
