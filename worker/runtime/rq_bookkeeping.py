"""RQ's records of running tasks, written in two round trips per task where RQ needs eight.

Both scripts (`worker/runtime/lua`) leave what RQ's own worker would leave, except for results,
which our steps do not have; a test compares the two, and RQ's version is pinned. Failed tasks are
recorded by RQ itself. Only tasks that `core/redis/lua` enqueued are run: they have none of RQ's
callbacks, dependents, repetitions or webhooks, so none are looked up.
"""

import importlib
import json
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import redis
from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError
from rq.defaults import RQ_KEY_PREFIX
from rq.executions import Execution
from rq.job import Job as Task
from rq.job import JobStatus
from rq.registry import StartedJobRegistry
from rq.utils import now, utcformat

from core.scheduling.task_queue import RESULT_TTL, SERIALIZER, TASK_TIMEOUT

_FOLDER: Final = Path(__file__).parent / "lua"
#: Seconds after which RQ treats a running task as abandoned (`rq.SimpleWorker.get_heartbeat_ttl`).
_EXECUTION_TTL: Final = TASK_TIMEOUT + 60


@dataclass(slots=True)
class Run:
    """A running task."""

    task_id: str
    #: RQ's record of the task as enqueued.
    record: Mapping[bytes, bytes]
    execution: Execution
    started_at: datetime
    #: The step, the job, and our record of it (names and values in turn) when the task was taken.
    prefetched: tuple[str, str, list[str]]
    ended_at: datetime | None = None

    def perform(self) -> None:
        """Call the task's function."""
        data = self.record[b"data"]
        if data[:1] != b"[":  # RQ itself wrote it, to rerun the task
            data = zlib.decompress(data)
        name, _, arguments, named = json.loads(data)
        module, _, function = name.rpartition(".")
        getattr(importlib.import_module(module), function)(*arguments, **named)

    def task(self, connection: "redis.Redis") -> Task:
        """Return RQ's own object for the task, which is slow to create."""
        task = Task(self.task_id, connection=connection, serializer=SERIALIZER)
        task.restore(dict(self.record))
        task.worker_name = self.execution.worker_name
        task.started_at = task.last_heartbeat = self.started_at
        task._status = JobStatus.STARTED  # noqa: SLF001 - as rq.Job.prepare_for_execution sets it
        return task


class RqBookkeeping:
    """Takes tasks off one queue and records in RQ how they end.

    One thread may call `take` while another calls `finish`.

    Args:
        client: Must not decode replies.
        queue: The queue's name.
        worker: The worker's name.
        worker_ttl: Seconds after which RQ treats the worker as dead.
        lease: Seconds of a step's lease, renewed when its task is taken; None: tasks only.
    """

    def __init__(
        self,
        client: "redis.Redis",
        queue: str,
        worker: str,
        *,
        worker_ttl: int,
        lease: float | None = None,
    ) -> None:
        self._client = client
        self._queue = queue
        self._worker = worker
        self._worker_ttl = worker_ttl
        self._lease = "" if lease is None else lease
        self._list = f"{RQ_KEY_PREFIX}:queue:{queue}"
        self._take_script = _ScriptConnection(client, "take")
        self._finish_script = _ScriptConnection(client, "finish")

    def take(self, most: int, wait: int = 0) -> list[Run]:
        """Take up to `most` tasks and record them as started.

        Args:
            most: Maximum number of tasks.
            wait: Seconds to wait for a task.
        """
        asked_at = now()
        arguments = (
            *(RQ_KEY_PREFIX, self._queue, self._worker, most, uuid.uuid4().hex),
            *(asked_at.timestamp(), utcformat(asked_at), _EXECUTION_TTL, self._worker_ttl),
            self._lease,
        )
        popping = ("BLMOVE", self._list, f"{self._list}:intermediate", "LEFT", "RIGHT", wait)
        # Sent together, both run as soon as there is a task, and share one fsync.
        taken = self._take_script.run(*arguments, after=popping if wait else None)
        runs = []
        started_at = now()
        for raw, pairs, execution_id, step, job, fields in taken:
            task_id = raw.decode()
            record = dict(zip(pairs[::2], pairs[1::2], strict=True))
            execution = Execution(execution_id.decode(), task_id, self._client, self._worker)
            prefetched = (step.decode(), job.decode(), [field.decode() for field in fields])
            runs.append(Run(task_id, record, execution, started_at, prefetched))
        return runs

    def renew(self, executions: Sequence[Execution]) -> None:
        """Record that tasks are still running."""
        if not executions:
            return
        registry = StartedJobRegistry(self._queue, connection=self._client)
        with self._client.pipeline(transaction=False) as pipeline:
            for execution in executions:
                execution.heartbeat(registry, _EXECUTION_TTL, pipeline)
            pipeline.execute()

    def finish(self, runs: Sequence[Run]) -> None:
        """Record that tasks succeeded."""
        ends: list[str | float] = []
        for run in runs:
            ended_at = run.ended_at or now()
            took = (ended_at - run.started_at).total_seconds()
            started, ended = utcformat(run.started_at), utcformat(ended_at)
            ends += [run.task_id, run.execution.id, started, ended, took]
        head = (RQ_KEY_PREFIX, self._queue, self._worker, now().timestamp(), RESULT_TTL)
        self._finish_script.run(*head, *ends)


class _ScriptConnection:
    """One connection for one script, without redis-py's overhead per command.

    Args:
        client: Client of the server.
        script: Name of the script's file, without its extension.
    """

    def __init__(self, client: "redis.Redis", script: str) -> None:
        self._pool = client.connection_pool
        self._connection: Any = None  # its methods have no types
        self._source = (_FOLDER / f"{script}.lua").read_text(encoding="utf-8")
        self._digest = ""

    def run(self, *arguments: str | float, after: Sequence[str | float] | None = None) -> Any:
        """Run the script, after another command if one is given; return the script's reply."""
        if not self._digest:
            self._load()
        commands = [after] if after else []
        answer = self._call(*commands, ("EVALSHA", self._digest, 0, *arguments))
        if isinstance(answer, NoScriptError):  # the server restarted and lost its script cache
            self._load()
            answer = self._call(("EVALSHA", self._digest, 0, *arguments))
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    def _load(self) -> None:
        answer = self._call(("SCRIPT", "LOAD", self._source))
        if isinstance(answer, ResponseError):
            raise answer
        self._digest = answer.decode()

    def _call(self, *commands: Sequence[str | float]) -> Any:
        """Run commands in one round trip; return the last reply, or its error."""
        connection = self._connected()
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            answers = [_read(connection) for _ in commands]
        except BaseException:
            # An unread reply would be taken for the next command's.
            connection.disconnect()
            raise
        for answer in answers[:-1]:
            if isinstance(answer, ResponseError):
                raise answer
        return answers[-1]

    def _connected(self) -> Any:
        """Return the connection, reopened if the server closed it."""
        if self._connection is None:
            self._connection = self._pool.get_connection()
            return self._connection
        try:
            stale = self._connection.can_read()
        except (redis.RedisError, OSError):
            stale = True
        if stale:
            self._connection.disconnect()
        return self._connection


def _read(connection: Any) -> Any:
    """Return a reply, or the server's error."""
    try:
        return connection.read_response()
    except ReadOnlyError:  # after a failover the host name leads to another server
        raise
    except ResponseError as error:
        return error
