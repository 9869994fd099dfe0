"""RQ's books of running tasks, kept in two round trips per task where RQ takes eight.

Both scripts (`worker/runtime/lua`) leave what RQ's own worker would leave, but for the results,
which our steps do not have; a test compares the two, and RQ's version is pinned. Tasks that fail
are entered by RQ itself. Only tasks that `core/redis/lua` enqueued are run: they have no callbacks,
dependents, repetitions or webhooks of RQ's, so none are looked for.
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
from rq.utils import now, utcformat

from core.scheduling.task_queue import RESULT_TTL, SERIALIZER, TASK_TIMEOUT

_FOLDER: Final = Path(__file__).parent / "lua"
#: Seconds after which RQ takes a running task for abandoned (`rq.SimpleWorker.get_heartbeat_ttl`).
_EXECUTION_TTL: Final = TASK_TIMEOUT + 60


@dataclass(slots=True)
class Run:
    """A task that is being run."""

    task_id: str
    #: RQ's record of the task as it was enqueued.
    record: Mapping[bytes, bytes]
    execution: Execution
    started_at: datetime
    #: The step, the job, and names and values of our record of it in turn, as the task was taken.
    prefetched: tuple[str, str, list[str]]
    ended_at: datetime | None = None

    def perform(self) -> None:
        """Call what the task names."""
        data = self.record[b"data"]
        if data[:1] != b"[":  # RQ itself wrote it, to have the task run again
            data = zlib.decompress(data)
        name, _, arguments, named = json.loads(data)
        module, _, function = name.rpartition(".")
        getattr(importlib.import_module(module), function)(*arguments, **named)

    def task(self, connection: "redis.Redis") -> Task:
        """Return RQ's own form of the task, which is slow to make."""
        task = Task(self.task_id, connection=connection, serializer=SERIALIZER)
        task.restore(dict(self.record))
        task.worker_name = self.execution.worker_name
        task.started_at = task.last_heartbeat = self.started_at
        task._status = JobStatus.STARTED  # noqa: SLF001 - as rq.Job.prepare_for_execution sets it
        return task


class RqBookkeeping:
    """Takes tasks off one queue and enters their ends.

    One thread may take while another finishes.

    Args:
        client: Decodes nothing.
        queue: The queue's name.
        worker: The worker's name.
        worker_ttl: Seconds after which RQ takes the worker for dead.
        lease: Seconds that a step gets which begins with what is taken; None takes RQ's tasks only.
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
        self._taking = _Line(client, "take")
        self._finishing = _Line(client, "finish")

    def take(self, most: int, wait: int = 0) -> list[Run]:
        """Take up to so many tasks and enter them as started.

        Args:
            most: How many at most.
            wait: Seconds to wait for one.
        """
        asked_at = now()
        arguments = (
            *(RQ_KEY_PREFIX, self._queue, self._worker, most, uuid.uuid4().hex),
            *(asked_at.timestamp(), utcformat(asked_at), _EXECUTION_TTL, self._worker_ttl),
            self._lease,
        )
        popping = ("BLMOVE", self._list, f"{self._list}:intermediate", "LEFT", "RIGHT", wait)
        # Sent together, both are done as soon as there is a task, and wait for one fsync.
        taken = self._taking.run(*arguments, after=popping if wait else None)
        runs = []
        started_at = now()
        for raw, pairs, execution_id, step, job, fields in taken:
            task_id = raw.decode()
            record = dict(zip(pairs[::2], pairs[1::2], strict=True))
            execution = Execution(execution_id.decode(), task_id, self._client, self._worker)
            prefetched = (step.decode(), job.decode(), [field.decode() for field in fields])
            runs.append(Run(task_id, record, execution, started_at, prefetched))
        return runs

    def finish(self, runs: Sequence[Run]) -> None:
        """Enter that tasks ended well."""
        ends: list[str | float] = []
        for run in runs:
            ended_at = run.ended_at or now()
            took = (ended_at - run.started_at).total_seconds()
            started, ended = utcformat(run.started_at), utcformat(ended_at)
            ends += [run.task_id, run.execution.id, started, ended, took]
        head = (RQ_KEY_PREFIX, self._queue, self._worker, now().timestamp(), RESULT_TTL)
        self._finishing.run(*head, *ends)


class _Line:
    """One connection and one script, without what redis-py does around each command.

    Args:
        client: Whose server.
        script: The script's file name without ending.
    """

    def __init__(self, client: "redis.Redis", script: str) -> None:
        self._pool = client.connection_pool
        self._connection: Any = None  # its methods have no types
        self._source = (_FOLDER / f"{script}.lua").read_text(encoding="utf-8")
        self._digest = ""

    def run(self, *arguments: str | float, after: Sequence[str | float] | None = None) -> Any:
        """Run the script, right after another command if there is one; return its answer."""
        if not self._digest:
            self._load()
        commands = [after] if after else []
        answer = self._call(*commands, ("EVALSHA", self._digest, 0, *arguments))
        if isinstance(answer, NoScriptError):  # the server was restarted and forgot its scripts
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
        """Run commands in one round trip; return the last one's answer, or what is against it."""
        connection = self._connected()
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            answers = [_read(connection) for _ in commands]
        except BaseException:
            # An answer that nobody read would be taken for the next command's.
            connection.disconnect()
            raise
        for answer in answers[:-1]:
            if isinstance(answer, ResponseError):
                raise answer
        return answers[-1]

    def _connected(self) -> Any:
        """Return the connection, made anew where the server hung up meanwhile."""
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
    """Return an answer, or what the server has against the command."""
    try:
        return connection.read_response()
    except ReadOnlyError:  # after a failover: hung up on, for its name leads to another server now
        raise
    except ResponseError as error:
        return error
