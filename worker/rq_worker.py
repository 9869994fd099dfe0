"""An RQ worker that runs many tasks at a time in one process.

Submit, collect and notify wait on the network nearly all the time. RQ ships workers that run one
task at a time, in a fork or in the process itself; this one runs each in a thread of a pool, with
clients that live as long as the process. It stays an RQ worker to RQ's own tools: registries,
`rq info`, suspension, retries, graceful stop.
"""

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import redis
from rq import SimpleWorker
from rq.executions import Execution
from rq.job import Job as Task
from rq.queue import Queue
from rq.timeouts import BaseDeathPenalty
from rq.worker import WorkerStatus

from core.log import event
from core.queue import SERIALIZER

_log = logging.getLogger(__name__)

#: Seconds that running tasks get after SIGTERM. What is cut off then is started again by `sweep`,
#: exactly as after a crash, so a longer wait would buy nothing.
GRACE: Final = 7.0
#: Seconds between two looks for a stop while there is no task.
_LOOK_EVERY: Final = 2
#: RQ waits for a task 15 s less than this.
_WORKER_TTL: Final = 15 + _LOOK_EVERY
#: Seconds between two rounds of RQ's own book-keeping.
_MAINTENANCE: Final = 30


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
    """

    death_penalty_class = NoDeathPenalty
    #: Seconds between two tries to reach a Redis that is away; RQ would go up to a minute.
    max_connection_wait_time = 2.0

    def __init__(self, queue: str, connection: "redis.Redis", concurrency: int) -> None:
        super().__init__(
            [queue],
            connection=connection,
            serializer=SERIALIZER,
            worker_ttl=_WORKER_TTL,
            maintenance_interval=_MAINTENANCE,
            log_job_description=False,
        )
        self.log_result_lifespan = False
        self._free = threading.BoundedSemaphore(concurrency)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix=f"{queue}-task")
        self._running = 0
        self._lock = threading.Lock()

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Task, Queue] | None:
        """Fetch a task, but only once a thread is free to run it; None to leave.

        RQ's own loop would not look for a stop while it waits for a task.
        """
        if not self._thread_is_free():
            return None
        result = None
        try:
            if timeout is None:  # burst mode: leave when there is none
                result = super().dequeue_job_and_maintain_ttl(None, max_idle_time)
            while timeout is not None and result is None and not self._stop_requested:
                result = super().dequeue_job_and_maintain_ttl(timeout, _LOOK_EVERY)
        finally:
            if result is None:
                self._free.release()
        return result

    def _thread_is_free(self) -> bool:
        while not self._free.acquire(timeout=1.0):
            self.heartbeat()
            if self._stop_requested:
                return False
        return True

    def execute_job(self, job: Task, queue: Queue) -> None:
        """Hand a task to a free thread and go on."""
        try:
            execution = self.prepare_execution(job)
            with self._lock:
                self._running += 1
            self._threads.submit(self._run, job, queue, execution)
        except BaseException:
            self._free.release()
            raise

    def _run(self, job: Task, queue: Queue, execution: Execution) -> None:
        try:
            self.perform_job(job, queue, execution)
        except Exception:  # noqa: BLE001 - RQ's own books failed; the step is safe in our record
            event(_log, "task.books_failed", logging.ERROR, task_id=job.id)
        finally:
            with self._lock:
                self._running -= 1
            self._free.release()

    @property
    def running(self) -> int:
        """How many tasks run now."""
        return self._running

    def set_state(self, state: str, pipeline: Any = None) -> None:
        """Say "busy" as long as any thread is."""
        busy = state == WorkerStatus.IDLE and self._running
        super().set_state(WorkerStatus.BUSY if busy else state, pipeline)

    def _install_signal_handlers(self) -> None:
        """Leave signals to `worker.__main__`, which outlives this object."""

    def request_stop(self, *_signal: Any) -> None:
        """Fetch no more; leave once the running tasks are done, or after `GRACE` seconds.

        RQ would raise from the signal handler here, which drops a task that was just popped.
        """
        if self._stop_requested:
            return
        self._stop_requested = True
        timer = threading.Timer(GRACE, _leave)
        timer.daemon = True
        timer.start()

    def teardown(self) -> None:
        """Let the running tasks end, then sign off."""
        self._threads.shutdown(wait=True)
        super().teardown()  # type: ignore[no-untyped-call]  # RQ's is not annotated


def _leave() -> None:
    """End the process at once, as a crash would; a thread cannot be stopped otherwise."""
    event(_log, "worker.cut_off", logging.WARNING, grace_seconds=GRACE)
    logging.shutdown()
    os._exit(0)
