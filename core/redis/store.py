"""Jobs in Redis: the only module that writes a job.

The keys are listed in `core/redis/lua/prelude.lua`.

Statuses change by compare-and-set. Losing the race is a normal return value: another process did
the work. Whatever a change triggers (a slot granted, a task enqueued, a due time set) happens in
the same script, so a crash cannot lose it.
"""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar, cast

import redis

from core.errors import StoreUnavailable
from core.jobs.failures import FailureCode, error_record
from core.jobs.job import Job, JobId, JobRequest
from core.jobs.status import STEP_STATUSES, TERMINAL, CallbackState, Status, Step
from core.redis.change import Change, Idempotency, Stored
from core.redis.scripts import Scripts
from core.redis.transitions import Transition, Transitions, read_stored
from core.scheduling import circuit_breakers
from core.scheduling.prefetched import Prefetched
from core.scheduling.slots import pools
from core.scheduling.task_queue import task_constants
from core.settings.settings import Settings

#: Most due times that one sweep handles.
SWEEP_BATCH: Final = 500
#: Number of callback attempts kept with a job.
CALLBACK_LOG: Final = 20
#: Number of attempts at callbacks kept for each tenant, and seconds for which they are kept after
#: the last one.
ATTEMPTS: Final = 100_000
ATTEMPTS_TTL: Final = 604_800
_Result = TypeVar("_Result")


class JobStore(Transitions):
    """Reads and changes jobs, blocking.

    Args:
        client: From `core.redis.scripts.connect`.
        settings: Slots and durations.
        clock: Returns Unix time in seconds.
    """

    def __init__(self, client: "redis.Redis", settings: Settings, clock: Any = time.time) -> None:
        super().__init__(settings, clock)
        self._client = client
        self.prefetched: Final = Prefetched()
        constants = {
            "POOLS": pools(settings.accounts),
            "LEASE": settings.slot_lease_seconds,
            "WATCH": settings.watch_seconds,
            "ATTEMPTS": ATTEMPTS,
            "ATTEMPTS_TTL": ATTEMPTS_TTL,
            "BREAKERS": circuit_breakers.rules(settings),
            # As numbers: a job's record may outlive its end by so much, and its indexes by more.
            "JOB_TTL": self.job_ttl,
            "INDEX_TTL": self.index_ttl,
            "FITS": {step: dict.fromkeys(fits, 1) for step, fits in STEP_STATUSES.items()},
            **task_constants(),
        }
        self.scripts = Scripts(client, constants, require_aof=settings.require_aof)

    def execute(self, plan: Transition[_Result]) -> _Result:
        """Run a transition's script calls one after the other; return its result."""
        try:
            order = next(plan)
            while True:
                order = plan.send(self.scripts.run(*order[:2], durable=order.durable))
        except StopIteration as end:
            result: _Result = end.value
            return result

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def accept(
        self, job_id: JobId, request: JobRequest, idempotency: Idempotency | None = None
    ) -> Stored:
        """Accept a job; on return it is on disk.

        Returns:
            The new job, or the one created earlier by the same idempotency key or `retry_of`.

        Raises:
            IdempotencyConflict: The key was used with another body.
            BacklogFull: The backlog has reached its limit.
            CannotSendAgain: `request.retry_of` is not a failed job (any more).
            StoreUnavailable: The outcome is unknown; repeat with the same key.
        """
        return self.execute(self.prepare_accept(job_id, request, idempotency))

    def create(
        self, job_id: JobId, request: JobRequest, idempotency: Idempotency | None = None
    ) -> JobId:
        """Accept a job as `accept` does, and return its id."""
        return self.accept(job_id, request, idempotency).id

    def find_by_idempotency_key(self, tenant: str, idempotency: Idempotency) -> Stored | None:
        """Return the job that an idempotency key created, if any; on return it is on disk.

        Raises:
            IdempotencyConflict: The key was used with another body.
            StoreUnavailable: Redis is away.
        """
        return self.execute(self.prepare_lookup(tenant, idempotency))

    def load(self, job_id: JobId) -> Job | None:
        """Return a job, or None if it does not exist (any more)."""
        fields = cast("dict[str, str]", self.read("hgetall", f"job:{job_id}"))
        return Job.from_fields(job_id, fields) if "request" in fields else None

    def begin(self, step: Step, job_id: JobId) -> Job | None:
        """Renew the lease of a step that starts, and return its job."""
        pairs = self.prefetched.take(step, job_id)
        if pairs is None:
            pairs = self.scripts.run("begin", self.payload() | {"job": job_id, "step": step})
        return read_stored(job_id, pairs).job

    def renew(self, step: Step, job_id: JobId) -> None:
        """Renew the lease of a long-running step; call it more often than the lease lasts."""
        self.scripts.run("begin", self.payload() | {"job": job_id, "step": step, "renew": True})

    def move(
        self,
        job_id: JobId,
        to: Status,
        change: Change | None = None,
        *,
        was: Iterable[Status] | None = None,
        durable: bool = False,
    ) -> bool:
        """Move a job to status `to`, from any status that allows it or only from those in `was`.

        Leaving `submitting` or `generating` frees the slot and grants it to the next job. Reaching
        a terminal status schedules the callback and the deletion of inputs. With `durable`, the
        change is on disk on return.

        Returns:
            False if the job had already moved on, or is gone: a normal outcome.
        """
        return self.execute(self.prepare_move(job_id, to, change, was=was, durable=durable))

    def fail(
        self,
        job_id: JobId,
        code: FailureCode,
        message: str,
        *,
        was: Iterable[Status] | None = None,
        **details: Any,
    ) -> bool:
        """End a job as failed; return False if it had already moved on.

        Args:
            job_id: The job.
            code: The failure code.
            message: The reason, in words for the caller.
            was: Statuses it must be in: a step that gives up must not discard a result that
                another step has received meanwhile.
            details: Further fields of the error.
        """
        error, links = error_record(code, message, **details), ["result_url", "more_urls"]
        change = Change(set={"error": error}, clear=links)
        return self.move(job_id, Status.FAILED, change, was=was)

    def change(
        self, job_id: JobId, was: Iterable[Status], change: Change, *, durable: bool = False
    ) -> bool:
        """Change a job's fields without moving it, if its status is one of `was`.

        Returns:
            False if it has another status, or a precondition of `change` does not hold.
        """
        return self.execute(self.prepare_change(job_id, was, change, durable=durable))

    def fields(self, job_id: JobId, *names: str) -> list[str]:
        """Return raw fields of a record ("" if absent); works on damaged records too."""
        values: list[str | None] = self.read("hmget", f"job:{job_id}", list(names))
        return [value or "" for value in values]

    def give_up_callback(
        self, job_id: JobId, why: str, at: float, counted: Mapping[str, str]
    ) -> bool:
        """Turn an owed callback into a dead letter; return False if none is owed (any more).

        Reads only the callback log: a damaged record may be the very reason for giving up. Steps
        that give up after an attempt make this change themselves.

        Args:
            job_id: The job.
            why: The reason, written to the callback log that the caller sees.
            at: Unix time in seconds.
            counted: Fields and values that led to this decision. If they have changed, nothing
                happens; otherwise they are cleared, so that a resent callback starts from zero.
        """
        (known,) = self.fields(job_id, "callback_log")
        try:
            log = list(json.loads(known or "[]"))
        except (ValueError, TypeError):
            log = []
        log = [*log, {"at": at, "status": None, "error": why}][-CALLBACK_LOG:]
        owed = {"callback_state": str(CallbackState.PENDING), "callback_log": known}
        change = Change(
            expect=owed | dict(counted),
            set={"callback_log": json.dumps(log), "callback_state": str(CallbackState.DEAD)},
            clear=list(counted),
            done=[Step.NOTIFY],
        )
        return self.change(job_id, TERMINAL, change)

    def guard_inputs(self, job_id: JobId, until: float) -> None:
        """Schedule the deletion of inputs at `until`, unless their job is accepted before."""
        self.read("zadd", "due", {f"{Step.CLEANUP}:{job_id}": until})

    def unguard_inputs(self, job_id: JobId) -> None:
        """Cancel that deletion: the inputs of a job that was never accepted are deleted."""
        self.read("zrem", "due", f"{Step.CLEANUP}:{job_id}")

    def sweep(self, token: str, lease_seconds: float) -> dict[str, Any] | None:
        """Run one sweep.

        Returns:
            What was done (see `core/redis/lua/sweep.lua`), or None if `token` does not hold the
            lease.
        """
        payload = self.payload() | {
            "token": token,
            "lease_ms": int(lease_seconds * 1000),
            "batch": SWEEP_BATCH,
            "kept": {"ended": self.job_ttl, "owed": max(self.job_ttl, self.owed_ttl)},
        }
        answer = str(self.scripts.run("sweep", payload))
        return None if answer == "stale" else sweep_report(answer)

    def take_sweep_lease(self, token: str, lease_seconds: float) -> bool:
        """Try to take the sweep lease; `token` must be new each time."""
        milliseconds = int(lease_seconds * 1000)
        return bool(self.read("set", "sweep:lease", token, nx=True, px=milliseconds))

    def read(self, command: str, *arguments: Any, **options: Any) -> Any:
        """Run one plain Redis command.

        Raises:
            StoreUnavailable: Redis is unreachable.
        """
        try:
            return getattr(self._client, command)(*arguments, **options)
        except (redis.RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis: {type(error).__name__}") from error


def sweep_report(answer: str) -> dict[str, Any]:
    """Parse the sweep script's reply; cjson encodes an empty list as `{}`."""
    return {name: [] if value == {} else value for name, value in json.loads(answer).items()}
