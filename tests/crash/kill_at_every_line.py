"""Kills a worker at each line of a step, one job per line."""

from collections.abc import Callable
from typing import Any, Final

from core.jobs.status import Step
from tests.crash.conftest import CrashingProcess, CrashingProcesses
from tests.e2e.conftest import Customer

_MOST_LINES: Final = 1000
#: Jobs sent at a time: while one is killed, the others need not be waited for.
_BATCH: Final = 8


def small(number: int) -> dict[str, Any]:
    """Return a job that costs little."""
    size = {"width": 256, "height": 256}
    return {"model": "flux-pro-1.1", "input": {"prompt": f"small {number}", **size}}


def kill_at_every_line(
    customer: Customer,
    worker: CrashingProcess,
    ready: Callable[[str], bool],
    send: Callable[[int], list[str]],
    batch: int = _BATCH,
) -> tuple[list[str], list[str]]:
    """Send one job per line of a step and kill the worker there.

    Each child meets a waiting task first, and dies in it: it takes one at a time.

    Args:
        customer: Waits for the jobs.
        worker: The one to kill.
        ready: Says of a job's id whether its task waits in the queue.
        send: Sends so many jobs and returns their ids.
        batch: How many are sent at a time.

    Returns:
        The jobs, and the places where workers died.
    """
    jobs: list[str] = []
    places: list[str] = []
    waiting: list[str] = []
    for k in range(1, _MOST_LINES):
        if not waiting:
            waiting = send(batch)
            jobs += waiting
            for job_id in waiting:
                customer.eventually(lambda job_id=job_id: ready(job_id))  # type: ignore[misc]  # bound now
        place = worker.kill_at(k)
        if place is None:
            break
        places.append(place)
        while waiting and not ready(waiting[0]):
            waiting.pop(0)
    return jobs, places


def stopped(customer: Customer, *names: str) -> None:
    """Kill processes of the stack."""
    for name in names:
        customer.stack.processes[name].kill()


def started(customer: Customer, *names: str) -> None:
    """Start them again."""
    for name in names:
        customer.stack.processes[name].start()
    for name in names:
        customer.stack.processes[name].wait_ready()


def task_waits(customer: Customer, step: Step, queue: str) -> Callable[[str], bool]:
    """Return a function that says whether a job's task for a step waits in a queue."""
    redis = customer.stack.redis()

    def waits(job_id: str) -> bool:
        task = redis.hget(f"job:{job_id}", f"task:{step}")
        return bool(task) and redis.lpos(f"rq:queue:{queue}", str(task)) is not None

    return waits


def survives(customer: Customer, crashing: CrashingProcesses, queue: str, step: Step) -> list[str]:
    """Kill a step's worker at every line; assert that all jobs end well; return the places."""
    names = (f"worker.{queue}", "worker.sweep")
    stopped(customer, *names)
    worker = crashing(customer.stack, queue, step)
    waits = task_waits(customer, step, queue)

    jobs, places = kill_at_every_line(
        customer, worker, waits, lambda count: customer.send(count, small)
    )

    started(customer, *names)
    customer.judge(customer.wait_for_end(jobs, 90))
    assert f"worker/steps/{step}.py" in {place.partition(":")[0] for place in places}
    return places
