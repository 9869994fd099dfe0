"""A worker is killed at each line of each step, once; then the rest of the system finishes."""

from collections.abc import Callable
from typing import Any

from core.job import Step
from tests.crash.conftest import Lethal, LethalFactory
from tests.e2e.conftest import Customer

_MOST_LINES = 1000


def _small(number: int) -> dict[str, Any]:
    size = {"width": 256, "height": 256}
    return {"model": "flux-pro-1.1", "input": {"prompt": f"small {number}", **size}}


def kill_at_every_line(
    customer: Customer, worker: Lethal, ready: Callable[[str], bool]
) -> tuple[list[str], list[str]]:
    """Send one job per line of a step and kill the worker there.

    Args:
        customer: Sends the jobs.
        worker: The one to kill.
        ready: Says of a job's id whether its task waits in the queue.

    Returns:
        The jobs, and the places where workers died.
    """
    jobs: list[str] = []
    places: list[str] = []
    for k in range(1, _MOST_LINES):
        [job_id] = customer.send(1, _small)
        jobs.append(job_id)
        customer.eventually(lambda job_id=job_id: ready(job_id))  # type: ignore[misc]  # bound now
        place = worker.kill_at(k)
        if place is None:
            break
        places.append(place)
    return jobs, places


def _stopped(customer: Customer, *names: str) -> None:
    for name in names:
        customer.stack.processes[name].kill()


def _started(customer: Customer, *names: str) -> None:
    for name in names:
        customer.stack.processes[name].start()
    for name in names:
        customer.stack.processes[name].wait_ready()


def _step_task_waits(customer: Customer, step: Step, queue: str) -> Callable[[str], bool]:
    redis = customer.stack.redis()

    def waits(job_id: str) -> bool:
        task = redis.hget(f"job:{job_id}", f"task:{step}")
        return bool(task) and redis.lpos(f"rq:queue:{queue}", str(task)) is not None

    return waits


def _run(customer: Customer, lethal: LethalFactory, queue: str, step: Step) -> list[str]:
    names = (f"worker.{queue}", "worker.sweep")
    _stopped(customer, *names)
    worker = lethal(customer.stack, queue, step)
    waits = _step_task_waits(customer, step, queue)

    jobs, places = kill_at_every_line(customer, worker, waits)

    _started(customer, *names)
    customer.judge(customer.wait_for_end(jobs, 90))
    assert f"worker/{step}.py" in {place.partition(":")[0] for place in places}
    return places


def test_submit_survives_a_kill_at_every_line(customer: Customer, lethal: LethalFactory) -> None:
    """Wherever submit dies, the job is made once, stored and told."""
    places = _run(customer, lethal, "submit", Step.SUBMIT)

    assert len(places) > 60
    assert any(place.startswith("worker/provider.py") for place in places)


def test_collect_survives_a_kill_at_every_line(customer: Customer, lethal: LethalFactory) -> None:
    """Wherever collect dies, the image lies in S3 whole, and the job succeeds."""
    places = _run(customer, lethal, "collect", Step.COLLECT)

    assert len(places) > 60
    assert any(place.startswith("core/object_store.py") for place in places)


def test_notify_survives_a_kill_at_every_line(customer: Customer, lethal: LethalFactory) -> None:
    """Wherever notify dies, the caller is told, with the same message id."""
    places = _run(customer, lethal, "notify", Step.NOTIFY)

    assert len(places) > 40
    by_job: dict[str, set[str]] = {}
    for callback in customer.receiver.callbacks:
        job_id = callback.headers["webhook-id"]
        by_job.setdefault(job_id, set()).add(callback.headers["webhook-id"])
    assert all(len(ids) == 1 for ids in by_job.values())
