"""Jobs in Redis: the only place where a job is written. Keys are listed in `core/lua/prelude.lua`.

A status changes by compare-and-set. Losing the race is a normal return: somebody else did the
work. What a change sets off (a free slot granted, a task enqueued, a due time set) happens in the
same script, so it cannot be lost between two of them.
"""

import json
import math
import random
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import redis

from core import breakers
from core.begun import Begun
from core.change import Change, Idempotency, Stored
from core.errors import BacklogFull, CannotSendAgain, IdempotencyConflict, StoreUnavailable
from core.job import (
    DEAD_LETTER,
    HOLDS_SLOT,
    STEP_STATUSES,
    TERMINAL,
    CallbackState,
    FailureCode,
    Job,
    JobId,
    JobRequest,
    Status,
    Step,
    before,
    code_of,
    error_record,
)
from core.queue import stamp, task_constants
from core.redis_scripts import Scripts
from core.settings import Settings
from core.slots import lane_of, pools

#: How many due times one round of sweeping looks at.
SWEEP_BATCH: Final = 500
#: Seconds that a record outlives the time in which its callback is tried.
_OWED_MARGIN: Final = 7200.0
#: What the script says of a job that it does not accept.
_REFUSALS: Final = {
    "conflict": IdempotencyConflict,
    "full": BacklogFull,
    "gone": CannotSendAgain,
}


class JobStore:
    """Reads and changes jobs.

    Args:
        client: From `core.redis_scripts.connect`.
        settings: Slots and durations.
        clock: Returns Unix time in seconds.
    """

    def __init__(self, client: "redis.Redis", settings: Settings, clock: Any = time.time) -> None:
        self._client = client
        self._clock = clock
        self._job_ttl = math.ceil(settings.job_ttl_seconds)
        self._deadline = settings.job_deadline_seconds
        #: Seconds that a record is kept at least once its callback is owed.
        self.owed_ttl: Final = math.ceil(settings.callback_give_up_seconds + _OWED_MARGIN)
        self._accounts = settings.accounts
        self._models = settings.models
        self._most_waiting = settings.max_backlog
        self.begun: Final = Begun()
        constants = {
            "POOLS": pools(settings.accounts),
            "LEASE": settings.slot_lease_seconds,
            "WATCH": settings.watch_seconds,
            "BREAKERS": breakers.rules(settings),
            "FITS": {step: dict.fromkeys(fits, 1) for step, fits in STEP_STATUSES.items()},
            **task_constants(),
        }
        self.scripts = Scripts(client, constants, require_aof=settings.require_aof)

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
        callback = CallbackState.WAITING if request.callback_url else CallbackState.NONE
        payload: dict[str, Any] = self.payload() | {
            "job": job_id,
            "deadline": request.deadline_at,
            "fields": {
                "request": request.to_json(),
                "lane": self.lane(request),
                "rank": -request.priority,
                "callback_state": callback,
                "tenant": request.tenant,
            }
            | ({"has_inputs": "1"} if request.input_keys else {}),
        }
        if request.retry_of:
            payload["retry_of"] = request.retry_of
        if self._most_waiting:
            payload["most_waiting"] = self._most_waiting
        if idempotency:
            payload["idempotency"] = {
                "key": f"idempotency:{request.tenant}:{idempotency.key_hash}",
                "fingerprint": idempotency.fingerprint,
                # It must outlive its job, which may wait until its deadline.
                "ttl": self._job_ttl + math.ceil(self._deadline),
            }
        word, *stored = self.scripts.run("create", payload, durable=True)
        if word in _REFUSALS:
            raise _REFUSALS[word]
        return _stored(*stored)

    def create(
        self, job_id: JobId, request: JobRequest, idempotency: Idempotency | None = None
    ) -> JobId:
        """Accept a job as `accept` does, and return its id."""
        return self.accept(job_id, request, idempotency).id

    def lane(self, request: JobRequest) -> str:
        """Return the lane in which such a job waits."""
        model = self._models.get(request.model)
        return lane_of((model and model.lane) or request.model, request.region, self._accounts)

    def known(self, tenant: str, idempotency: Idempotency) -> Stored | None:
        """Return the job that this key brought before, if any; when this returns, it is on disk.

        Raises:
            IdempotencyConflict: It brought another body.
            StoreUnavailable: Redis is away.
        """
        key = f"idempotency:{tenant}:{idempotency.key_hash}"
        found = self.scripts.run("replay", self.payload() | {"key": key}, durable=True)
        if not found:
            return None
        fingerprint, *known = found
        if fingerprint != idempotency.fingerprint:
            raise IdempotencyConflict
        return _stored(*known)

    def load(self, job_id: JobId) -> Job | None:
        """Return the job as it stands, None where there is none (any more)."""
        fields = cast("dict[str, str]", self.read("hgetall", f"job:{job_id}"))
        return Job.from_fields(job_id, fields) if "request" in fields else None

    def begin(self, step: Step, job_id: JobId) -> Job | None:
        """Renew the lease of a step that starts, and return its job."""
        pairs = self.begun.take(step, job_id)
        if pairs is None:
            pairs = self.scripts.run("begin", self.payload() | {"job": job_id, "step": step})
        return _stored(job_id, pairs).job

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
        allowed = before(to) if was is None else before(to) & set(was)
        change = change or Change()
        code = code_of(change.set.get("error"))
        payload = self._change(job_id, allowed, change) | {
            "to": to,
            "terminal": to in TERMINAL,
            "ttl": self._job_ttl,
            "ttl_owed": max(self._job_ttl, self.owed_ttl),
            "dead": to is Status.FAILED and code in DEAD_LETTER,
            "code": code or "",
            "release": to not in HOLDS_SLOT,
            "undue": [s for s, statuses in STEP_STATUSES.items() if to not in statuses],
        }
        return bool(self.scripts.run("transition", payload, durable=durable) == "done")

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
        payload = self._change(job_id, was, change)
        return bool(self.scripts.run("transition", payload, durable=durable) == "done")

    def guard_inputs(self, job_id: JobId, until: float) -> None:
        """Have inputs that are about to be stored deleted at `until` unless the job is accepted."""
        self.read("zadd", "due", {f"{Step.CLEANUP}:{job_id}": until})

    def unguard_inputs(self, job_id: JobId) -> None:
        """Take note that the inputs of a job that there is not have been deleted."""
        self.read("zrem", "due", f"{Step.CLEANUP}:{job_id}")

    def sweep(self, token: str, lease_seconds: float) -> dict[str, Any] | None:
        """Do one round of sweeping.

        Returns:
            What was done (see `core/lua/sweep.lua`), None when the lease is not `token`'s.
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

    def now(self) -> float:
        """Return the Unix time in seconds."""
        return float(self._clock())

    def payload(self) -> dict[str, Any]:
        """Return what every script is told anew."""
        now = self._clock()
        return {
            "now": now,
            "jitter": random.random(),  # noqa: S311 - spreads retries, keeps nothing secret
            "stamp": stamp(now),
        }

    def _change(self, job_id: JobId, was: Iterable[Status], change: Change) -> dict[str, Any]:
        return self.payload() | {"job": job_id, "was": list(was)} | change.payload()

    def read(self, command: str, *arguments: Any, **options: Any) -> Any:
        """Run one plain command of Redis.

        Raises:
            StoreUnavailable: Redis is away.
        """
        try:
            return getattr(self._client, command)(*arguments, **options)
        except (redis.RedisError, OSError) as error:
            raise StoreUnavailable(f"Redis: {type(error).__name__}") from error


def _stored(job_id: str, pairs: Sequence[str]) -> Stored:
    """Read a record as Lua returns it: names and values in turn."""
    fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
    job = Job.from_fields(JobId(job_id), fields) if "request" in fields else None
    return Stored(JobId(job_id), job)


def sweep_report(answer: str) -> dict[str, Any]:
    """Read what a round of sweeping says it did; an empty Lua table reads as an empty list."""
    return {name: [] if value == {} else value for name, value in json.loads(answer).items()}
