"""A worker is killed while it stores the two files of a draft, which go to the bucket in parts."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from core.jobs.status import Step
from stack.stack import Stack
from tests.crash.conftest import CrashingProcess, CrashingProcesses, crash_stack
from tests.crash.crash_point import file_of, line_of
from tests.crash.kill_at_every_line import kill_at_every_line, started, stopped, task_waits
from tests.e2e.conftest import Customer
from tests.faults.harness import set_faults
from tests.quick_videos import often_polled

#: Less than a video or a bundle has, and more than a manifest.
_SMALL_FILE: Final = "4000"
#: More than one part.
_TWO_PARTS: Final = 6_000_000
#: Where the files are stored; the rest of the step is that of an image, and dies in its own test.
_STORING: Final = (
    "worker/steps/collect.py",
    "worker/results/stored_artifacts.py",
    "core/storage/multipart_put.py",
    "core/storage/object_store.py",
)
#: More than any step has.
_MOST_LINES: Final = 1000
_FILES: Final = [".mp4", ".mp4.draft_cache.bin", ".mp4.json"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack that asks about videos often, and may have many of them made at a time."""
    variables = often_polled(tmp_path_factory.mktemp("models"))
    slots = {"FLUXRELAY_SLOTS": "2000,flux-3-video=2000"}
    with crash_stack(webhooks=False, **slots, **variables) as stack:
        yield stack


def draft(number: int) -> dict[str, Any]:
    """Return a job for a draft."""
    given = {"mode": "t2v", "prompt": f"draft {number}", "duration": 5, "draft": True}
    return {"model": "flux-3-video", "input": given}


def survives(customer: Customer, worker: CrashingProcess) -> list[str]:
    """Kill a worker at every line that counts; assert that all drafts end well; return the lines.

    Args:
        customer: Whose drafts.
        worker: The one to kill; what it leaves is done by another of its kind.
    """
    stopped(customer, "worker.collect")
    waits = task_waits(customer, Step.COLLECT, "collect")
    sweep = customer.stack.processes["worker.sweep"].pid

    def send(count: int) -> list[str]:
        os.kill(sweep, signal.SIGCONT)  # it starts the polls
        sent = customer.send(count, draft)
        for job_id in sent:
            customer.eventually(lambda job_id=job_id: waits(job_id), 90)  # type: ignore[misc]  # bound now
        os.kill(sweep, signal.SIGSTOP)  # so that nothing that was killed comes back meanwhile
        return sent

    try:
        # All drafts are made before the first kill, so that each worker meets a new one.
        jobs, lines = kill_at_every_line(customer, worker, waits, send, _MOST_LINES)
    finally:
        os.kill(sweep, signal.SIGCONT)
    customer.eventually(finished(customer, worker, jobs), 120)
    started(customer, "worker.collect")
    customer.judge(customer.wait_for_end(jobs, 90))
    judge_bucket(customer, jobs)
    return lines


def finished(customer: Customer, worker: CrashingProcess, jobs: list[str]) -> Callable[[], bool]:
    """Return a function that has a worker do what waits, and says whether all jobs have ended."""
    left = list(jobs)

    def look() -> bool:
        worker.run()
        while left and customer.job(left[-1])["ended_at"]:
            left.pop()
        return not left

    return look


def judge_bucket(customer: Customer, jobs: list[str]) -> None:
    """Assert that every draft has its files and no others, and that no upload is unfinished."""
    s3, bucket = customer.stack.s3(), customer.stack.bucket
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    found: dict[str, list[str]] = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            name, dot, ending = item["Key"].rpartition("/")[2].partition(".")
            found.setdefault(name, []).append(dot + ending)
    assert {job: sorted(found.get(job, [])) for job in jobs} == dict.fromkeys(jobs, _FILES)


def test_a_draft_survives_a_kill_at_every_line(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """Wherever collect dies, both files lie in S3 once and whole, and no upload is left over."""
    worker = crashing(customer.stack, "collect", Step.COLLECT, _SMALL_FILE, "", *_STORING)

    lines = survives(customer, worker)

    assert set(map(file_of, lines)) == set(_STORING)
    assert len(lines) > 200


def test_a_large_video_survives_a_kill_at_every_part(
    customer: Customer, crashing: CrashingProcesses
) -> None:
    """Whichever part it dies at, the file is sent again: one object, and no parts left over."""
    set_faults(customer, {"pad_picture": {"bytes": _TWO_PARTS}})
    worker = crashing(customer.stack, "collect", Step.COLLECT, "1000000", "_send_parts")

    lines = survives(customer, worker)
    set_faults(customer, {})

    in_each_part = [line for line, times in Counter(map(line_of, lines)).items() if times > 1]
    assert len(in_each_part) >= 5
