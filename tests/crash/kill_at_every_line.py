"""Kills a process at each line of what it does, one job per line.

Of lines that die the same death (`crash_point.py`), the first and the last one are killed at.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from core.jobs.status import Step
from tests.crash.conftest import CrashingProcess, CrashingProcesses, Outcome
from tests.crash.crash_point import NOWHERE, file_of
from tests.e2e.conftest import Customer

#: Jobs sent at a time: while one is killed, the others need not be waited for.
_BATCH: Final = 8
#: The first one differs from all later ones: it brings Redis the scripts, and opens connections.
_REHEARSALS: Final = 2
#: A job may take another way than the one that showed the lines: then the next one is tried.
_TRIES: Final = 3


def small(number: int) -> dict[str, Any]:
    """Return a job that costs little."""
    size = {"width": 256, "height": 256}
    return {"model": "flux-pro-1.1", "input": {"prompt": f"small {number}", **size}}


class Life:
    """One life of the process, which ends at a line or, to see which lines there are, nowhere."""

    def __init__(self, process: CrashingProcess, place: str, left: int) -> None:
        self._process = process
        self.place = place
        #: How many more there will be at least.
        self.left = left
        self._outcome: Outcome | None = None

    def order(self) -> None:
        """Have the process die in what it is given from now on."""
        self._process.order(self.place)

    def ends(self) -> bool:
        """Wait for the end; return whether the process died."""
        self._outcome = self._process.outcome()
        return self._outcome.killed_at is not None

    def run(self) -> bool:
        """Have the process do what waits; return whether it died."""
        self.order()
        return self.ends()

    @property
    def outcome(self) -> Outcome:
        """What came of it."""
        assert self._outcome, "nobody waited for the end"
        return self._outcome


def _ends(lines: list[str]) -> list[str]:
    """Return the first and the last of them, which may be the same.

    The last one as well, for who would notice if anything of ours used no socket of Python's?
    """
    return list(dict.fromkeys((lines[0], lines[-1])))


class EveryLine:
    """The lives of a process, one after the other.

    At first it does not die, which shows its lines; nor at the end, so that what died last can be
    repeated. Whoever iterates gives each life something to do, and waits for its end.

    Args:
        process: The one to kill.
    """

    def __init__(self, process: CrashingProcess) -> None:
        self._process = process
        #: The lines that were killed at, and those that would have died the same death.
        self.lines: list[str] = []
        #: How often it died.
        self.deaths = 0

    def __iter__(self) -> Iterator[Life]:
        """Yield the lives."""
        shown: list[list[str]] = []
        for _ in range(_REHEARSALS):
            life = Life(self._process, NOWHERE, 0)
            yield life
            shown = life.outcome.lines
        left = sum(len(_ends(together)) for together in shown)
        for together in shown:
            before = self.deaths
            for place in _ends(together):
                yield from self._die(place, left)
                left -= 1
            if self.deaths > before:
                self.lines += together
        yield Life(self._process, NOWHERE, 0)

    def _die(self, place: str, left: int) -> Iterator[Life]:
        """Yield lives until one has died here, or it seems that no other job comes this way."""
        for _ in range(_TRIES):
            life = Life(self._process, place, left)
            yield life
            if life.outcome.killed_at:
                self.deaths += 1
                return

    @property
    def files(self) -> set[str]:
        """The files of the lines."""
        return set(map(file_of, self.lines))


def kill_at_every_line(
    customer: Customer,
    worker: CrashingProcess,
    ready: Callable[[str], bool],
    send: Callable[[int], list[str]],
    batch: int = _BATCH,
) -> tuple[list[str], list[str]]:
    """Send one job per death of a step's worker.

    Each child meets a waiting task first, and dies in it: it takes one at a time.

    Args:
        customer: Waits for the jobs.
        worker: The one to kill.
        ready: Says of a job's id whether its task waits in the queue.
        send: Sends so many jobs and returns their ids.
        batch: How many are sent at a time, at most.

    Returns:
        The jobs, and the lines.
    """
    jobs: list[str] = []
    waiting: list[str] = []
    every = EveryLine(worker)
    for life in every:
        if not waiting:
            waiting = send(min(max(1, life.left), batch))
            jobs += waiting
            for job_id in waiting:
                customer.eventually(lambda job_id=job_id: ready(job_id), 90)  # type: ignore[misc]  # bound now
        life.run()
        while waiting and not ready(waiting[0]):
            waiting.pop(0)
    return jobs, every.lines


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
    """Kill a step's worker at every line; assert that all jobs end well; return the lines."""
    names = (f"worker.{queue}", "worker.sweep")
    stopped(customer, *names)
    worker = crashing(customer.stack, queue, step)
    waits = task_waits(customer, step, queue)

    jobs, lines = kill_at_every_line(
        customer, worker, waits, lambda count: customer.send(count, small)
    )

    started(customer, *names)
    customer.judge(customer.wait_for_end(jobs, 90))
    assert f"worker/steps/{step}.py" in set(map(file_of, lines))
    return lines
