"""RQ's books of running tasks, kept in two round trips per task where RQ takes eight.

Both scripts (`worker/lua`) leave what RQ's own worker would leave, but for the results, which our
steps do not have; a test compares the two, and RQ's version is pinned. Tasks that fail are entered
by RQ itself. Only tasks that `core/lua` enqueued are run: they have no callbacks, dependents,
repetitions or webhooks of RQ's, so none are looked for.
"""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import redis
from rq.defaults import RQ_KEY_PREFIX
from rq.executions import Execution
from rq.job import Job as Task
from rq.job import JobStatus
from rq.utils import now, utcformat

from core.queue import RESULT_TTL, SERIALIZER, TASK_TIMEOUT

_FOLDER: Final = Path(__file__).parent / "lua"
#: Seconds after which RQ takes a running task for abandoned (`rq.SimpleWorker.get_heartbeat_ttl`).
_EXECUTION_TTL: Final = TASK_TIMEOUT + 60


class Run(NamedTuple):
    """A task that is being run, and RQ's record of that."""

    task: Task
    execution: Execution


class Books:
    """Takes tasks off one queue and enters their ends.

    Args:
        connection: Decodes nothing.
        queue: The queue's name.
        worker: The worker's name.
        worker_ttl: Seconds after which RQ takes the worker for dead.
    """

    def __init__(
        self, connection: "redis.Redis", queue: str, worker: str, *, worker_ttl: int
    ) -> None:
        self._connection = connection
        self._queue = queue
        self._worker = worker
        self._worker_ttl = worker_ttl
        self._list = f"{RQ_KEY_PREFIX}:queue:{queue}"
        self._take = connection.register_script((_FOLDER / "take.lua").read_text(encoding="utf-8"))
        self._finish = connection.register_script(
            (_FOLDER / "finish.lua").read_text(encoding="utf-8")
        )

    def wait(self, seconds: int) -> str | None:
        """Wait for a task; it then stands in RQ's list of tasks that were popped."""
        found: Any = self._connection.blmove(self._list, f"{self._list}:intermediate", seconds)
        return found.decode() if found else None

    def take(self, most: int, first: str | None = None) -> list[Run]:
        """Take up to so many tasks, `first` among them, and enter them as started."""
        started_at = now()
        arguments: list[str | float] = [RQ_KEY_PREFIX, self._queue, self._worker, most, first or ""]
        arguments += [uuid.uuid4().hex, started_at.timestamp(), utcformat(started_at)]
        arguments += [_EXECUTION_TTL, self._worker_ttl]
        answer: Any = self._take(args=arguments)
        return [self._run(task.decode(), record, run.decode()) for task, record, run in answer]

    def finish(self, runs: Sequence[Run]) -> None:
        """Enter that tasks ended well."""
        ends: list[str | float] = []
        for task, execution in runs:
            ended_at = task.ended_at or now()
            took = (ended_at - execution.created_at).total_seconds()
            ends += [task.id, execution.id, utcformat(ended_at), took]
        head = (RQ_KEY_PREFIX, self._queue, self._worker, now().timestamp(), RESULT_TTL)
        self._finish(args=[*head, *ends])

    def _run(self, task_id: str, record: Sequence[bytes], execution_id: str) -> Run:
        task = Task(task_id, connection=self._connection, serializer=SERIALIZER)
        task.restore(dict(zip(record[::2], record[1::2], strict=True)))
        execution = Execution(execution_id, task_id, self._connection, self._worker)
        task.worker_name = self._worker
        task.started_at = task.last_heartbeat = execution.created_at
        task._status = JobStatus.STARTED  # noqa: SLF001 - as rq.Job.prepare_for_execution sets it
        return Run(task, execution)
