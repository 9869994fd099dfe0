"""An RQ worker that runs many tasks at a time in one process.

Submit, collect and notify wait on the network nearly all the time. RQ ships workers that run one
task at a time, in a fork or in the process itself; this one runs each in a thread of a pool, with
clients that live as long as the process. It stays an RQ worker to RQ's own tools: registries,
`rq info`, suspension, retries, graceful stop.
"""

import logging
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import redis
from rq import SimpleWorker
from rq.job import Job as Task
from rq.queue import Queue
from rq.timeouts import BaseDeathPenalty
from rq.utils import now
from rq.worker import WorkerStatus

from core.log import event
from core.scheduling.task_queue import SERIALIZER
from worker.runtime.rq_bookkeeping import RqBookkeeping, Run

_log = logging.getLogger(__name__)

#: Seconds between two looks for a stop while there is no task.
_LOOK_EVERY: Final = 2
#: RQ waits for a task 15 s less than this.
_WORKER_TTL: Final = 15 + _LOOK_EVERY
#: Seconds between two rounds of RQ's own book-keeping.
_MAINTENANCE: Final = 30
#: Seconds between two looks at whether RQ's workers are suspended, which are signs of life, too.
#: RQ would look, and give seven more signs, per task.
_SUSPENSION_EVERY: Final = 1.0
#: Seconds between two tries to reach a Redis that is away.
_RECONNECT: Final = 1.0
#: Most tasks taken at a time: a worker must not starve those of other processes.
_BATCH: Final = 8


def _pass_over(_step: str, _job: str, _record: Sequence[str]) -> None:
    """Let each step ask for its record itself."""


class NoDeathPenalty(BaseDeathPenalty):
    """RQ's time limit on tasks, left out: signals reach the main thread only.

    Steps bound themselves, by the time limits of their clients.
    """

    def setup_death_penalty(self) -> None:
        """Set nothing up."""

    def cancel_death_penalty(self) -> None:
        """Have nothing to cancel."""


class ConcurrentWorker(SimpleWorker):
    """Runs up to `concurrency` tasks of one queue at a time.

    Args:
        queue: The one queue it listens to; RQ pops safely from a single queue only.
        connection: Redis, for RQ's own use; decodes nothing.
        concurrency: How many tasks run at a time; when all are busy, none is fetched.
        lease: Seconds that a step gets; None leaves it to the step to ask for its record.
        grace: Seconds that running tasks get once it was told to stop; None: what they need.
            What is cut off then is started again by `sweep`, exactly as after a crash; but a
            submit is then in doubt, and a result's link has that much less to live.
        on_prefetch: Told, on a task's thread, the step, the job, and our record of it as names and
            values in turn: as they were when the task was taken and its lease was renewed.
    """

    death_penalty_class = NoDeathPenalty

    def __init__(
        self,
        queue: str,
        connection: "redis.Redis",
        concurrency: int,
        *,
        grace: float | None = None,
        lease: float | None = None,
        on_prefetch: Callable[[str, str, Sequence[str]], None] = _pass_over,
    ) -> None:
        super().__init__(
            [queue],
            connection=connection,
            serializer=SERIALIZER,
            worker_ttl=_WORKER_TTL,
            maintenance_interval=_MAINTENANCE,
            log_job_description=False,
        )
        self._bookkeeping = RqBookkeeping(
            connection, queue, self.name, worker_ttl=_WORKER_TTL + 60, lease=lease
        )
        self._on_prefetch = on_prefetch
        self._grace = grace
        #: Set when there is nothing more to wait for after a stop.
        self._over = threading.Event()
        self._signed_off = False
        self._free = threading.BoundedSemaphore(concurrency)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix=f"{queue}-task")
        self._running = 0
        self._lock = threading.Lock()
        self._ended: deque[Run] = deque()
        self._entering = threading.Lock()
        self._maybe_more = True
        self._looked_at = -math.inf

    def dequeue_job_and_maintain_ttl(
        self,
        timeout: int | None,
        max_idle_time: int | None = None,  # noqa: ARG002 - RQ names it
    ) -> tuple[Task, Queue] | None:
        """Take tasks, as many as threads are free, and have them run; return None to leave.

        This stands in place of RQ's own loop, which handles one task at a time and would not look
        for a stop while it waits for one.

        Args:
            timeout: None in burst mode: leave when there is no task.
            max_idle_time: Not used; a worker of ours stays.
        """
        burst = timeout is None
        self.set_state(WorkerStatus.IDLE)
        while not self._stop_requested:
            try:
                if not self._round(burst=burst):
                    break
            except redis.RedisError as error:
                if burst:
                    raise
                event(_log, "worker.redis_away", logging.ERROR, reason=type(error).__name__)
                time.sleep(_RECONNECT)
        return None

    def _round(self, *, burst: bool) -> bool:
        """Hand over what can be run; False where there is nothing left to do."""
        self.check_for_suspension(burst)
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()  # type: ignore[no-untyped-call]  # RQ's is not annotated
        places = self._places()
        runs: list[Run] = []
        try:
            # The thread that is free now may be so because its task was the last one to end.
            if places and not self._stop_requested:
                runs = self._fetch(places, wait=not burst)
        finally:
            for _ in range(places - len(runs)):
                self._free.release()
        for run in runs:
            self._hand_over(run)
        return bool(runs) or not places or not burst

    def _places(self) -> int:
        """Wait a little for a free thread; take as many as there are, up to a batch."""
        if not self._free.acquire(timeout=1.0):
            return 0
        count = 1
        while count < _BATCH and self._free.acquire(blocking=False):
            count += 1
        return count

    def _fetch(self, places: int, *, wait: bool) -> list[Run]:
        runs = self._bookkeeping.take(
            places, wait=0 if self._maybe_more or not wait else _LOOK_EVERY
        )
        self._maybe_more = len(runs) == places
        return runs

    def _hand_over(self, run: Run) -> None:
        """Hand a task, and the place that was taken for it, to a thread."""
        self.executions[run.execution.id] = run.execution
        with self._lock:
            self._running += 1
        self._threads.submit(self._run, run)

    def _run(self, run: Run) -> None:
        try:
            if self._performed(run):
                self._ended.append(run)
                self._enter_ends()
        except Exception:  # noqa: BLE001 - RQ's own books failed; the step is safe in our record
            event(_log, "task.books_failed", logging.ERROR, task_id=run.task_id)
        finally:
            with self._lock:
                self._running -= 1
            self._free.release()

    def _performed(self, run: Run) -> bool:
        """Run a task; where it raises, RQ enters that, and runs it again."""
        try:
            self._on_prefetch(*run.prefetched)
            run.perform()
        except BaseException:  # noqa: BLE001 - as RQ does; a thread has nobody above it
            task = run.task(self.connection)
            self._finalize_failure(task, self.queues[0], run.execution, sys.exc_info())
            return False
        run.ended_at = now()
        return True

    def _enter_ends(self) -> None:
        """Enter all tasks that have ended, unless another thread is about to."""
        while self._ended and self._entering.acquire(blocking=False):
            try:
                runs = [self._ended.popleft() for _ in range(len(self._ended))]
                self._bookkeeping.finish(runs)
                for run in runs:
                    self.executions.pop(run.execution.id, None)
            finally:
                self._entering.release()

    @property
    def running(self) -> int:
        """How many tasks run now."""
        return self._running

    def check_for_suspension(self, burst: bool) -> None:
        """Look once a second whether RQ's workers are to rest; it is a heartbeat, too."""
        if time.monotonic() >= self._looked_at + _SUSPENSION_EVERY:
            self._looked_at = time.monotonic()
            super().check_for_suspension(burst)

    def _install_signal_handlers(self) -> None:
        """Leave signals to `worker.__main__`, which outlives this object."""

    def request_stop(self, *_signal: Any) -> None:
        """Fetch no more; leave once the running tasks are done, or the grace is over.

        RQ would raise from the signal handler here, which drops a task that was just popped.
        """
        if self._stop_requested:
            return
        self._stop_requested = True
        # A thread, for it writes to the log, which a signal handler may have interrupted.
        threading.Thread(target=self._bound_the_stop, daemon=True).start()

    def hurry(self) -> None:
        """Leave at once, if it was told to stop before."""
        self._over.set()

    def _bound_the_stop(self) -> None:
        event(_log, "worker.stopping", running=self._running, grace_seconds=self._grace)
        bound = None if self._grace is None else min(self._grace, threading.TIMEOUT_MAX)
        hurried = self._over.wait(bound)
        if not self._signed_off:
            reason = "it was told to stop twice" if hurried else "its grace period is over"
            _leave(self._running, reason)

    def teardown(self) -> None:
        """Let the running tasks end, then sign off."""
        self._threads.shutdown(wait=True)
        try:
            super().teardown()  # type: ignore[no-untyped-call]  # RQ's is not annotated
        finally:
            self._signed_off = True
            self._over.set()


def _leave(running: int, reason: str) -> None:
    """End the process at once, as a crash would; a thread cannot be stopped otherwise."""
    event(_log, "worker.cut_off", logging.WARNING, running=running, reason=reason)
    logging.shutdown()
    os._exit(0)
