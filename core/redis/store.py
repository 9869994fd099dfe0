"""Jobs in Redis: the only place where a job is written.

Keys are listed in `core/redis/lua/prelude.lua`.

A status changes by compare-and-set. Losing the race is a normal return: somebody else did the
work. What a change sets off (a free slot granted, a task enqueued, a due time set) happens in the
same script, so it cannot be lost between two of them.
"""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar, cast

import redis

from core.errors import StoreUnavailable
from core.jobs.job import (
    STEP_STATUSES,
    TERMINAL,
    CallbackState,
    FailureCode,
    Job,
    JobId,
    JobRequest,
    Status,
    Step,
    error_record,
)
from core.redis.change import Change, Idempotency, Stored
from core.redis.scripts import Scripts
from core.redis.transitions import Plan, Plans, read_stored
from core.scheduling import circuit_breakers
from core.scheduling.prefetched import Begun
from core.scheduling.slots import pools
from core.scheduling.task_queue import task_constants
from core.settings.settings import Settings

#: How many due times one round of sweeping looks at.
SWEEP_BATCH: Final = 500
#: How many attempts at a callback are kept with its job.
CALLBACK_LOG: Final = 20
_Result = TypeVar("_Result")


class JobStore(Plans):
    """Reads and changes jobs.

    Args:
        client: From `core.redis.scripts.connect`.
        settings: Slots and durations.
        clock: Returns Unix time in seconds.
    """

    def __init__(self, client: "redis.Redis", settings: Settings, clock: Any = time.time) -> None:
        super().__init__(settings, clock)
        self._client = client
        self.begun: Final = Begun()
        constants = {
            "POOLS": pools(settings.accounts),
            "LEASE": settings.slot_lease_seconds,
            "WATCH": settings.watch_seconds,
            "BREAKERS": circuit_breakers.rules(settings),
            "FITS": {step: dict.fromkeys(fits, 1) for step, fits in STEP_STATUSES.items()},
            **task_constants(),
        }
        self.scripts = Scripts(client, constants, require_aof=settings.require_aof)

    def carry_out(self, plan: Plan[_Result]) -> _Result:
        """Do what a plan asks for, one call after the other; return what it comes to."""
        try:
            order = next(plan)
            while True:
                order = plan.send(self.scripts.run(*order[:2], durable=order.durable))
        except StopIteration as end:
            result: _Result = end.value
            return result

    def accept(
        self, job_id: JobId, request: JobRequest, idempotency: Idempotency | None = None
    ) -> Stored:
        """Accept a job; when this returns, it is on disk.

        Returns:
            The job, or that which the same idempotency key, or `retry_of`, brought before.

        Raises:
            IdempotencyConflict: The key was used with another body.
            BacklogFull: As many jobs wait as may.
            CannotSendAgain: `request.retry_of` is no failed job (any more).
            StoreUnavailable: Nothing is promised; repeat it with the same key.
        """
        return self.carry_out(self.accepting(job_id, request, idempotency))

    def create(
        self, job_id: JobId, request: JobRequest, idempotency: Idempotency | None = None
    ) -> JobId:
        """Accept a job as `accept` does, and return its id."""
        return self.accept(job_id, request, idempotency).id

    def known(self, tenant: str, idempotency: Idempotency) -> Stored | None:
        """Return the job that this key brought before, if any; when this returns, it is on disk.

        Raises:
            IdempotencyConflict: It brought another body.
            StoreUnavailable: Redis is away.
        """
        return self.carry_out(self.knowing(tenant, idempotency))

    def load(self, job_id: JobId) -> Job | None:
        """Return the job as it stands, None where there is none (any more)."""
        fields = cast("dict[str, str]", self.read("hgetall", f"job:{job_id}"))
        return Job.from_fields(job_id, fields) if "request" in fields else None

    def begin(self, step: Step, job_id: JobId) -> Job | None:
        """Renew the lease of a step that starts, and return its job."""
        pairs = self.begun.take(step, job_id)
        if pairs is None:
            pairs = self.scripts.run("begin", self.payload() | {"job": job_id, "step": step})
        return read_stored(job_id, pairs).job

    def renew(self, step: Step, job_id: JobId) -> None:
        """Show that a long step is alive; call it more often than the lease is long."""
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
        """Move a job to `to` from any status that allows it, or only from one of `was`.

        Leaving `submitting` or `generating` frees the slot and grants it to the next job;
        reaching an end owes the callback and the clean-up of inputs. `durable`: it is on disk when
        this returns.

        Returns:
            False where the job had moved on already, or is gone: a normal outcome.
        """
        return self.carry_out(self.moving(job_id, to, change, was=was, durable=durable))

    def fail(
        self,
        job_id: JobId,
        code: FailureCode,
        message: str,
        *,
        was: Iterable[Status] | None = None,
        **details: Any,
    ) -> bool:
        """End a job as failed; False where it moved on before.

        Args:
            job_id: Which.
            code: Why.
            message: Why, in words for its caller.
            was: Where it must stand: a step that gives up must not take away the image that
                another step has been told of meanwhile.
            details: What else is known.
        """
        change = Change(set={"error": error_record(code, message, **details)}, clear=["result_url"])
        return self.move(job_id, Status.FAILED, change, was=was)

    def change(
        self, job_id: JobId, was: Iterable[Status], change: Change, *, durable: bool = False
    ) -> bool:
        """Change a job without moving it, if it stands at one of `was`.

        Returns:
            False where it does not, or `change.expect` does not hold.
        """
        return self.carry_out(self.changing(job_id, was, change, durable=durable))

    def fields(self, job_id: JobId, *names: str) -> list[str]:
        """Return fields of a record as they stand, "" for none, also of one that is damaged."""
        values: list[str | None] = self.read("hmget", f"job:{job_id}", list(names))
        return [value or "" for value in values]

    def give_up_callback(
        self, job_id: JobId, why: str, at: float, counted: Mapping[str, str]
    ) -> bool:
        """Make a callback that is owed a dead letter; False where it is not owed (any more).

        It reads nothing of the record but the log, for a record that nobody can read may be the
        reason. Steps that end a callback by an attempt do it themselves.

        Args:
            job_id: Whose.
            why: Stands in its log, which its caller sees.
            at: Unix time in seconds.
            counted: Fields, and their values, that told so: nothing happens where they differ,
                and they are cleared, for a callback that is sent again begins anew.
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
        """Have inputs that are about to be stored deleted at `until` unless the job is accepted."""
        self.read("zadd", "due", {f"{Step.CLEANUP}:{job_id}": until})

    def unguard_inputs(self, job_id: JobId) -> None:
        """Take note that the inputs of a job that there is not have been deleted."""
        self.read("zrem", "due", f"{Step.CLEANUP}:{job_id}")

    def sweep(self, token: str, lease_seconds: float) -> dict[str, Any] | None:
        """Do one round of sweeping.

        Returns:
            What was done (see `core/redis/lua/sweep.lua`), None when the lease is not `token`'s.
        """
        payload = self.payload() | {
            "token": token,
            "lease_ms": int(lease_seconds * 1000),
            "batch": SWEEP_BATCH,
        }
        answer = str(self.scripts.run("sweep", payload))
        return None if answer == "stale" else sweep_report(answer)

    def take_sweep_lease(self, token: str, lease_seconds: float) -> bool:
        """Try to become the one that sweeps; `token` must be new each time."""
        milliseconds = int(lease_seconds * 1000)
        return bool(self.read("set", "sweep:lease", token, nx=True, px=milliseconds))

    def read(self, command: str, *arguments: Any, **options: Any) -> Any:
        """Run one plain command of Redis.

        Raises:
            StoreUnavailable: Redis is away.
        """
        try:
            return getattr(self._client, command)(*arguments, **options)
        except (redis.RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis: {type(error).__name__}") from error


def sweep_report(answer: str) -> dict[str, Any]:
    """Read what a round of sweeping says it did; an empty Lua table reads as an empty list."""
    return {name: [] if value == {} else value for name, value in json.loads(answer).items()}
