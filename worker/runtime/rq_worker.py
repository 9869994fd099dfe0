"""An RQ worker that runs many tasks at a time in one process.

Submit, collect and notify spend nearly all their time waiting for the network. RQ's own workers run
one task at a time, in a fork or in the process; this one runs each task in a thread of a pool, with
clients that live as long as the process. To RQ's own tools it stays an RQ worker: registries, `rq
info`, suspension, retries, graceful stop.
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

#: Seconds between checks for a stop while there is no task.
_STOP_CHECK_EVERY: Final = 2
#: RQ waits for a task 15 s less than this.
_WORKER_TTL: Final = 15 + _STOP_CHECK_EVERY
#: Seconds between rounds of RQ's own maintenance.
_MAINTENANCE: Final = 30
#: Seconds between checks whether RQ's workers are suspended, which also send a heartbeat. RQ would
#: do this, and send seven more heartbeats, per task.
_SUSPENSION_EVERY: Final = 1.0
#: Seconds between renewals of tasks that run for long: a video may take minutes to copy.
_RENEWAL_EVERY: Final = 60.0
#: Seconds between attempts to reach Redis.
_RECONNECT: Final = 1.0
#: Maximum number of tasks taken at a time: a worker must not starve those of other processes.
_BATCH: Final = 8


def _pass_over(_step: str, _job: str, _record: Sequence[str]) -> None:
    """Ignore the record: each step then reads it itself."""


class NoDeathPenalty(BaseDeathPenalty):
    """Disables RQ's time limit on tasks: signals reach the main thread only.

    Steps are bounded by the timeouts of their clients.
    """

    def setup_death_penalty(self) -> None:
        """Do nothing."""

    def cancel_death_penalty(self) -> None:
        """Do nothing."""


class ConcurrentWorker(SimpleWorker):
    """Runs up to `concurrency` tasks of one queue at a time.

    Args:
        queue: The only queue it listens to; RQ pops safely from a single queue only.
        connection: Redis, for RQ's own use; it must not decode replies.
        concurrency: Maximum number of running tasks; no more are fetched than can run.
        lease: Seconds of a step's lease; None: the step reads its record itself.
        grace: Seconds that running tasks get after a stop; None: no limit. `sweep` restarts tasks
            that were cut off, as after a crash; but a submit is then in doubt, and a result's
            link is that much closer to its expiry.
        on_prefetch: Called on a task's thread with the step, the job, and our record of the job
            (names and values in turn), as read when the task was taken and its lease renewed.
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
        #: Set when a stop has nothing more to wait for.
        self._over = threading.Event()
        self._signed_off = False
        self._free = threading.BoundedSemaphore(concurrency)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix=f"{queue}-task")
        self._running = 0
        self._lock = threading.Lock()
        self._ended: deque[Run] = deque()
        self._recording = threading.Lock()
        self._maybe_more = True
        self._looked_at = -math.inf
        self._renewed_at = time.monotonic()

    def dequeue_job_and_maintain_ttl(
        self,
        timeout: int | None,
        max_idle_time: int | None = None,  # noqa: ARG002 - RQ names it
    ) -> tuple[Task, Queue] | None:
        """Take as many tasks as threads are free and run them; return None to exit.

        This replaces RQ's own loop, which handles one task at a time and would not check for a stop
        while it waits for one.

        Args:
            timeout: None in burst mode: exit when there is no task.
            max_idle_time: Not used; our workers do not exit when idle.
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
        """Start what can be run; False if there is nothing left to do."""
        self.check_for_suspension(burst)
        if self.should_run_maintenance_tasks:
            self.run_maintenance_tasks()  # type: ignore[no-untyped-call]  # RQ's is not annotated
        places = self._reserve_threads()
        runs: list[Run] = []
        try:
            # A stop may have come while this waited for a free thread.
            if places and not self._stop_requested:
                runs = self._fetch(places, wait=not burst)
        finally:
            for _ in range(places - len(runs)):
                self._free.release()
        for run in runs:
            self._dispatch(run)
        return bool(runs) or not places or not burst

    def _reserve_threads(self) -> int:
        """Wait briefly for a free thread; reserve all that are free, up to a batch."""
        if not self._free.acquire(timeout=1.0):
            return 0
        count = 1
        while count < _BATCH and self._free.acquire(blocking=False):
            count += 1
        return count

    def _fetch(self, places: int, *, wait: bool) -> list[Run]:
        runs = self._bookkeeping.take(
            places, wait=0 if self._maybe_more or not wait else _STOP_CHECK_EVERY
        )
        self._maybe_more = len(runs) == places
        return runs

    def _dispatch(self, run: Run) -> None:
        """Hand a task, and its reserved thread, to the pool."""
        self.executions[run.execution.id] = run.execution
        with self._lock:
            self._running += 1
        self._threads.submit(self._run, run)

    def _run(self, run: Run) -> None:
        try:
            if self._perform(run):
                self._ended.append(run)
                self._record_ends()
        except Exception:  # noqa: BLE001 - RQ's records failed; the step is safe in ours
            event(_log, "task.books_failed", logging.ERROR, task_id=run.task_id)
        finally:
            with self._lock:
                self._running -= 1
            self._free.release()

    def _perform(self, run: Run) -> bool:
        """Run a task; if it raises, RQ records that and runs it again."""
        try:
            self._on_prefetch(*run.prefetched)
            run.perform()
        except BaseException:  # noqa: BLE001 - as RQ does; a thread has no caller
            task = run.task(self.connection)
            self._finalize_failure(task, self.queues[0], run.execution, sys.exc_info())
            return False
        run.ended_at = now()
        return True

    def _record_ends(self) -> None:
        """Record all ended tasks, unless another thread is doing so."""
        while self._ended and self._recording.acquire(blocking=False):
            try:
                runs = [self._ended.popleft() for _ in range(len(self._ended))]
                self._bookkeeping.finish(runs)
                for run in runs:
                    self.executions.pop(run.execution.id, None)
            finally:
                self._recording.release()

    @property
    def running(self) -> int:
        """Number of running tasks."""
        return self._running

    def check_for_suspension(self, burst: bool) -> None:
        """Check once a second whether RQ's workers are suspended; this is a heartbeat, too."""
        if time.monotonic() >= self._looked_at + _SUSPENSION_EVERY:
            self._looked_at = time.monotonic()
            super().check_for_suspension(burst)
            self._renew_long_tasks()

    def _renew_long_tasks(self) -> None:
        """Tell RQ once a minute which tasks still run: it would run them again after five."""
        if time.monotonic() < self._renewed_at + _RENEWAL_EVERY:
            return
        self._renewed_at, moment = time.monotonic(), now()
        running = list(self.executions.values())
        self._bookkeeping.renew(
            [one for one in running if (moment - one.created_at).total_seconds() >= _RENEWAL_EVERY]
        )

    def _install_signal_handlers(self) -> None:
        """Leave signals to `worker.__main__`, which outlives this object."""

    def request_stop(self, *_signal: Any) -> None:
        """Fetch no more tasks; exit when the running ones have ended or the grace period is over.

        RQ would raise from the signal handler here, which loses a task that was just popped.
        """
        if self._stop_requested:
            return
        self._stop_requested = True
        # In a thread, because it writes to the log, whose lock the interrupted code may hold.
        threading.Thread(target=self._enforce_grace, daemon=True).start()

    def exit_now(self) -> None:
        """Exit at once, if a stop was requested before."""
        self._over.set()

    def _enforce_grace(self) -> None:
        event(_log, "worker.stopping", running=self._running, grace_seconds=self._grace)
        bound = None if self._grace is None else min(self._grace, threading.TIMEOUT_MAX)
        hurried = self._over.wait(bound)
        if not self._signed_off:
            reason = "a second stop signal" if hurried else "the grace period ended"
            _exit_process(self._running, reason)

    def teardown(self) -> None:
        """Let the running tasks end, then sign off."""
        self._threads.shutdown(wait=True)
        try:
            super().teardown()  # type: ignore[no-untyped-call]  # RQ's is not annotated
        finally:
            self._signed_off = True
            self._over.set()


def _exit_process(running: int, reason: str) -> None:
    """Exit at once, as a crash would: a thread cannot be stopped in another way."""
    event(_log, "worker.cut_off", logging.WARNING, running=running, reason=reason)
    logging.shutdown()
    os._exit(0)
