"""The script calls of each job change, as generators without I/O.

A transition yields its script calls one by one, receives the reply to each, and returns the result.
The caller runs them by blocking (`core.redis.store`) or awaiting (`core.redis.async_store`), so
both share this logic.
"""

import math
import random
import time
from collections.abc import Generator, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from core.errors import BacklogFull, CannotSendAgain, IdempotencyConflict
from core.jobs.callback_events import ENDS
from core.jobs.failures import DEAD_LETTER, code_of
from core.jobs.index_names import index_names
from core.jobs.job import Job, JobId, JobRequest, read_timeline
from core.jobs.status import (
    HOLDS_SLOT,
    STEP_STATUSES,
    TERMINAL,
    CallbackState,
    Status,
    predecessors,
)
from core.redis.change import Change, Idempotency, Stored
from core.scheduling.slots import lane_of
from core.scheduling.task_queue import stamp
from core.settings.settings import Settings

#: Seconds: the latest deadline that a caller may ask for.
_LONGEST_DEADLINE: Final = 604_800
#: Seconds that a record is kept beyond the time limit of its callback.
_OWED_MARGIN: Final = 7200.0
#: Replies of the script to a job that it rejects.
_REFUSALS: Final = {
    "conflict": IdempotencyConflict,
    "full": BacklogFull,
    "gone": CannotSendAgain,
}
#: What puts a batch's jobs behind single jobs of their priority, and before those of the next.
_BEHIND: Final = 0.5
#: Replies of the scripts to a job that was created, and to one that was changed.
_CREATED: Final = "created"
_DONE: Final = "done"


class ScriptCall(NamedTuple):
    """One call of a script in `core/redis/lua`."""

    script: str
    payload: dict[str, Any]
    #: Whether to wait until its writes are on disk.
    durable: bool = False


_Result = TypeVar("_Result")
Transition = Generator[ScriptCall, Any, _Result]


class Transitions:
    """Makes transitions.

    Args:
        settings: Slots and durations.
        clock: Returns Unix time in seconds.
    """

    def __init__(self, settings: Settings, clock: Any = time.time) -> None:
        self._clock = clock
        #: Seconds that ended jobs are kept.
        self.job_ttl: Final = math.ceil(settings.job_ttl_seconds)
        #: Minimum seconds that a record is kept once its callback is owed.
        self.owed_ttl: Final = math.ceil(settings.callback_give_up_seconds + _OWED_MARGIN)
        deadlines = (settings.deadline_seconds(name) for name in settings.models)
        usual = max(settings.job_deadline_seconds, *deadlines)
        #: Minimum seconds that a record is kept whose task goes on: until that is given up.
        self._held_ttl = math.ceil(usual)
        longest = max(usual, _LONGEST_DEADLINE)
        #: Seconds that an index of jobs is kept after a job was added to it: for longer than the
        #: job's record is kept, usually.
        self.index_ttl: Final = max(self.job_ttl, self.owed_ttl) + math.ceil(longest)
        self._accounts = settings.accounts
        #: Model and region -> lane, of those asked for; both are names that the settings know.
        self._lanes: dict[tuple[str, str | None], str] = {}
        self._models = settings.models
        self._indexed_metadata = settings.indexed_metadata
        self.most_waiting: Final = settings.max_backlog

    def prepare_accept(
        self, job_id: JobId, request: JobRequest, idempotency: Idempotency | None = None
    ) -> Transition[Stored]:
        """Prepare the acceptance of a job; see `JobStore.accept`."""
        payload = self.payload() | self.new_job(job_id, request)
        if self.most_waiting:
            payload["most_waiting"] = self.most_waiting
        if idempotency:
            # The key must outlive its job, which may wait until its deadline.
            waits = request.deadline_at - request.created_at
            payload["idempotency"] = self.idempotency(request.tenant, idempotency, waits)
        word, *stored = yield ScriptCall("create", payload, durable=True)
        if word in _REFUSALS:
            raise _REFUSALS[word]
        if word == _CREATED:
            return _created(request, *stored)
        return read_stored(*stored)

    def new_job(self, job_id: JobId, request: JobRequest) -> dict[str, Any]:
        """Return a new job as `core/redis/lua/create_job.lua` reads it."""
        fields: dict[str, Any] = {
            "request": request.to_json(),
            "lane": self.lane(request),
            # Lower goes first; the jobs of a batch stand between two priorities.
            "rank": -request.priority + (_BEHIND if request.behind else 0),
            "callback_state": _first_callback_state(request),
            "tenant": request.tenant,
            "indexes": index_names(request, self._indexed_metadata),
        }
        if request.callback_events:
            fields["callback_events"] = " ".join(request.callback_events)
        if request.batch:
            fields |= {"batch": request.batch, "custom_id": request.custom_id or ""}
        if request.input_keys:
            fields["has_inputs"] = "1"
        model = self._models.get(request.model)
        if model and model.link_seconds:
            fields["link_seconds"] = model.link_seconds
        job = {"job": job_id, "deadline": request.deadline_at, "fields": fields}
        return job | ({"retry_of": request.retry_of} if request.retry_of else {})

    def idempotency(self, tenant: str, given: Idempotency, waits: float) -> dict[str, Any]:
        """Return an idempotency key as the scripts read it.

        Args:
            tenant: Whose key it is.
            given: The key.
            waits: Seconds that what is created may take until it ends.
        """
        return {
            "key": f"idempotency:{tenant}:{given.key_hash}",
            "fingerprint": given.fingerprint,
            "ttl": self.job_ttl + math.ceil(waits),
        }

    def prepare_lookup(self, tenant: str, idempotency: Idempotency) -> Transition[Stored | None]:
        """Prepare a lookup; see `JobStore.find_by_idempotency_key`."""
        key = f"idempotency:{tenant}:{idempotency.key_hash}"
        found = yield ScriptCall("replay", self.payload() | {"key": key}, durable=True)
        if not found:
            return None
        fingerprint, *known = found
        if fingerprint != idempotency.fingerprint:
            raise IdempotencyConflict
        return read_stored(*known)

    def prepare_move(
        self,
        job_id: JobId,
        to: Status,
        change: Change | None = None,
        *,
        was: Iterable[Status] | None = None,
        durable: bool = False,
    ) -> Transition[bool]:
        """Prepare a status change; see `JobStore.move`."""
        word = yield self._move(job_id, to, change or Change(), was, durable=durable)
        return bool(word == _DONE)

    def prepare_cancel(self, job_id: JobId) -> Transition[tuple[bool, Status | None]]:
        """Prepare the cancel of a job; on disk on return.

        Returns:
            Whether this call canceled it, and the status in which it is now; None if it is gone.
        """
        word = yield self._move(job_id, Status.CANCELED, Change(hold=True), None, durable=True)
        if word == _DONE:
            return True, Status.CANCELED
        return False, Status(word) if word else None

    def prepare_change(
        self, job_id: JobId, was: Iterable[Status], change: Change, *, durable: bool = False
    ) -> Transition[bool]:
        """Prepare a change that keeps the status; see `JobStore.change`."""
        word = yield ScriptCall("transition", self._change(job_id, was, change), durable)
        return bool(word == _DONE)

    def lane(self, request: JobRequest) -> str:
        """Return the lane in which such a job waits."""
        wanted = (request.model, request.region)
        lane = self._lanes.get(wanted)
        if lane is None:
            lane = self._lanes[wanted] = lane_of(*wanted, self._accounts)
        return lane

    def now(self) -> float:
        """Return the current Unix time in seconds."""
        return float(self._clock())

    def payload(self) -> dict[str, Any]:
        """Return the arguments that every script needs."""
        now = self._clock()
        return {
            "now": now,
            "jitter": random.random(),  # noqa: S311 - spreads retries; not security-relevant
            "stamp": stamp(now),
        }

    def _move(
        self,
        job_id: JobId,
        to: Status,
        change: Change,
        was: Iterable[Status] | None,
        *,
        durable: bool,
    ) -> ScriptCall:
        allowed = predecessors(to) if was is None else predecessors(to) & set(was)
        code = code_of(change.set.get("error"))
        payload = self._change(job_id, allowed, change) | {
            "to": to,
            "terminal": to in TERMINAL,
            "ttl": self.job_ttl,
            "ttl_owed": max(self.job_ttl, self.owed_ttl),
            "dead": to is Status.FAILED and code in DEAD_LETTER,
            "code": code or "",
            "release": to not in HOLDS_SLOT,
            "undue": [s for s, statuses in STEP_STATUSES.items() if to not in statuses],
        }
        if change.hold:
            payload["ttl_held"] = self._held_ttl
        return ScriptCall("transition", payload, durable)

    def _change(self, job_id: JobId, was: Iterable[Status], change: Change) -> dict[str, Any]:
        return self.payload() | {"job": job_id, "was": list(was)} | change.payload()


def read_stored(job_id: str, pairs: Sequence[str]) -> Stored:
    """Read a record as Lua returns it: alternating names and values."""
    fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
    job = Job.from_fields(JobId(job_id), fields) if "request" in fields else None
    return Stored(JobId(job_id), job)


def _first_callback_state(request: JobRequest) -> CallbackState:
    told = not request.callback_events or set(request.callback_events) & set(ENDS)
    return CallbackState.WAITING if request.callback_url and told else CallbackState.NONE


def _created(request: JobRequest, job_id: str, line: str, pool: str) -> Stored:
    """Build a newly created job from the script's reply and the request."""
    timeline = read_timeline(line)
    job = Job(
        id=JobId(job_id),
        status=timeline[-1][0],
        request=request,
        timeline=timeline,
        pool=pool or None,
        callback_state=_first_callback_state(request),
    )
    return Stored(job.id, job)
