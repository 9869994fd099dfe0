"""The script calls of each change of a batch, as generators without I/O.

`core.redis.store` runs them by blocking, `core.redis.async_store` by awaiting.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from core.batches.batch import Batch, BatchId, BatchRequest, BatchStatus
from core.batches.views import ITEM_FIELDS
from core.errors import BacklogFull, CannotSendAgain, IdempotencyConflict, StoreUnavailable
from core.jobs.job import JobId
from core.jobs.status import CallbackState
from core.redis.change import Change, Idempotency
from core.redis.transitions import ScriptCall, Transition, Transitions

#: Seconds that staged items, and their inputs in S3, are kept if their batch is not accepted.
STAGED_SECONDS: Final = 3600
#: Most bytes of items that are staged for batches not accepted yet, of all services and tenants.
MOST_STAGED_BYTES: Final = 1024 * 1024 * 1024
#: Reply of a script to items of a batch that another one was accepted in place of.
_OVERTAKEN: Final = -2
#: Most items that one script makes jobs of.
MOST_AT_ONCE: Final = 200


class StoredBatch(NamedTuple):
    """A batch that is on disk; `batch` is None if it is gone."""

    id: BatchId
    batch: Batch | None
    fresh: bool = False


class BatchPage(NamedTuple):
    """Some batches, and where to continue; no cursor means that these were the last."""

    batches: tuple[Batch, ...]
    cursor: str | None


class NewBatch(NamedTuple):
    """A batch whose items are staged."""

    id: BatchId
    request: BatchRequest
    total: int
    #: Unix time at which the last of its jobs times out.
    last_deadline: float
    #: Jobs whose inputs are in S3 and guarded by a scheduled clean-up.
    guarded: Sequence[JobId]
    idempotency: Idempotency | None = None


class BatchPlans:
    """Makes the script calls about batches.

    Args:
        transitions: Makes those about jobs.
        most_staged: Most bytes of items of batches that are not accepted yet.
    """

    def __init__(self, transitions: Transitions, most_staged: int = MOST_STAGED_BYTES) -> None:
        self._jobs = transitions
        self._most_staged = most_staged

    def stage(
        self,
        batch_id: BatchId,
        before: int,
        items: Sequence[str],
        request: BatchRequest | None = None,
        idempotency: Idempotency | None = None,
    ) -> Transition[int | None]:
        """Stage the next items; return how many are staged, on disk.

        None is returned, and nothing is staged, once another request came first: a batch of the
        same key was accepted, or one that retries the same items. The commit tells which.

        Args:
            batch_id: The batch that is being accepted.
            before: Number of items staged before these.
            items: What `Transitions.new_job` returns, as JSON.
            request: What the batch is.
            idempotency: Its key.

        Raises:
            StoreUnavailable: Items that were staged before are gone.
        """
        payload: dict[str, Any] = {"batch": batch_id, "before": before, "items": items}
        payload |= {"ttl": STAGED_SECONDS, "most_bytes": self._most_staged}
        if request and request.retry_of:
            payload["retry_of"] = request.retry_of
        if request and idempotency:
            payload["key"] = _key(request.tenant, idempotency)
        staged = yield ScriptCall("stage_items", self._jobs.payload() | payload, durable=True)
        if staged == _OVERTAKEN:
            return None
        if staged < 0:
            raise StoreUnavailable("Redis: items that were staged are gone")
        return int(staged)

    def drop(self, batch_id: BatchId) -> Transition[bool]:
        """Forget what is staged of a batch; False if it has been accepted after all."""
        dropped = yield ScriptCall("drop_staged", self._jobs.payload() | {"batch": batch_id})
        return bool(dropped)

    def commit(self, new: NewBatch) -> Transition[StoredBatch]:
        """Accept a batch whose items are all staged; on disk on return.

        Raises:
            IdempotencyConflict: The key was used with another body.
            BacklogFull: The backlog has no room for all of its items.
            CannotSendAgain: The batch to retry is not kept, or runs.
            StoreUnavailable: The outcome is unknown; repeat with the same key.
        """
        request, ttl = new.request, self._jobs.job_ttl
        owed = CallbackState.WAITING if request.callback_url else CallbackState.NONE
        payload: dict[str, Any] = {
            "batch": new.id,
            "total": new.total,
            "guarded": list(new.guarded),
            "fields": {
                "request": request.to_json(),
                "tenant": request.tenant,
                "callback_state": owed,
                "keep_until": round(new.last_deadline + ttl, 3),
            },
        }
        if request.retry_of:
            payload["retry_of"] = request.retry_of
        if self._jobs.most_waiting:
            payload["most_waiting"] = self._jobs.most_waiting
        if new.idempotency:
            waits = new.last_deadline - request.created_at
            key = self._jobs.idempotency(request.tenant, new.idempotency, waits)
            payload["idempotency"] = key
        call = ScriptCall("commit_batch", self._jobs.payload() | payload, durable=True)
        word, *stored = yield call
        match word:
            case "conflict":
                raise IdempotencyConflict
            case "full":
                raise BacklogFull
            case "gone":
                raise CannotSendAgain("The batch is no longer kept, or has not completed")
            case "lost":
                raise StoreUnavailable("Redis: items that were staged are gone")
        return _stored(*stored, fresh=word == "created")

    def lookup(self, tenant: str, idempotency: Idempotency) -> Transition[StoredBatch | None]:
        """Return the batch that an idempotency key created, if any; on disk on return.

        Raises:
            IdempotencyConflict: The key was used with another body.
        """
        payload = self._jobs.payload() | {"key": _key(tenant, idempotency)}
        found = yield ScriptCall("replay", payload, durable=True)
        if not found:
            return None
        fingerprint, batch_id, _ = found
        if fingerprint != idempotency.fingerprint:
            raise IdempotencyConflict
        return StoredBatch(BatchId(batch_id), (yield from self.load(BatchId(batch_id))))

    def load(self, batch_id: BatchId) -> Transition[Batch | None]:
        """Return a batch, or None if it does not exist (any more)."""
        pairs = yield ScriptCall("read_batch", self._jobs.payload() | {"batch": batch_id})
        return _read(batch_id, pairs)

    def page(
        self, tenant: str, limit: int, cursor: str | None, callback: CallbackState | None = None
    ) -> Transition[BatchPage]:
        """Return a tenant's newest batches behind a cursor.

        Args:
            tenant: Whose.
            limit: Most of them.
            cursor: The batch before.
            callback: Only those whose callback is in this state; a page may then be short.
        """
        payload: dict[str, Any] = {"tenant": tenant, "limit": limit, "cursor": cursor or ""}
        payload |= {"callback": callback} if callback else {}
        found, last = yield ScriptCall("list_batches", self._jobs.payload() | payload)
        batches = (_read(BatchId(batch_id), pairs) for batch_id, pairs in found)
        return BatchPage(tuple(one for one in batches if one), last or None)

    def change(
        self,
        batch_id: BatchId,
        was: BatchStatus,
        change: Change,
        to: BatchStatus | None = None,
        *,
        durable: bool = False,
    ) -> Transition[bool]:
        """Change a batch's record, or complete it; False if it is not as the caller saw it.

        With `durable`, the change is on disk on return.
        """
        payload = change.payload() | {"batch": batch_id, "was": was}
        if to:
            owed = max(self._jobs.job_ttl, self._jobs.owed_ttl)
            payload |= {"to": to, "ttl": self._jobs.job_ttl, "ttl_owed": owed}
        word = yield ScriptCall("change_batch", self._jobs.payload() | payload, durable=durable)
        return bool(word == "done")

    def cancel_staged(self, batch_id: BatchId) -> Transition[bool]:
        """Cancel the items that are no jobs yet, on disk; False if there is no such batch."""
        owed = max(self._jobs.job_ttl, self._jobs.owed_ttl)
        payload = {"batch": batch_id, "most": MOST_AT_ONCE}
        payload |= {"ttl": self._jobs.job_ttl, "ttl_owed": owed}
        left = MOST_AT_ONCE
        while left > 0:
            left = yield ScriptCall("cancel_batch", self._jobs.payload() | payload, durable=True)
        return bool(left == 0)

    def expand(self, tenant: str, batch_id: str | None = None) -> Transition[bool]:
        """Make jobs of a tenant's accepted items, a bounded number; return whether some are left.

        Args:
            tenant: Whose items.
            batch_id: Only those of this batch; another tenant's batch has none.
        """
        kept = {"ended": self._jobs.job_ttl, "owed": max(self._jobs.job_ttl, self._jobs.owed_ttl)}
        payload: dict[str, Any] = {"tenant": tenant, "most": MOST_AT_ONCE, "kept": kept}
        payload |= {"batch": batch_id} if batch_id else {}
        left = yield ScriptCall("expand_now", self._jobs.payload() | payload)
        return bool(left)

    def job_ids(self, batch_id: BatchId) -> Transition[list[JobId]]:
        """Return the batch's jobs, in the order of its items."""
        found = yield ScriptCall("batch_members", self._jobs.payload() | {"batch": batch_id})
        return [JobId(one) for one in found]

    def items(self, jobs: Sequence[JobId]) -> Transition[list[dict[str, str | None]]]:
        """Return what the results file says of these jobs, by `ITEM_FIELDS`."""
        payload = {"jobs": list(jobs), "names": list(ITEM_FIELDS)}
        found = yield ScriptCall("batch_jobs", self._jobs.payload() | payload)
        return [dict(zip(ITEM_FIELDS, values, strict=True)) for values in found]

    def resend(self, batch_id: BatchId, *, durable: bool = True) -> Transition[str]:
        """Send a batch's callback again; return its state before, empty if there is no batch."""
        payload = {"batch": batch_id, "ttl_owed": self._jobs.owed_ttl}
        call = ScriptCall("resend_batch", self._jobs.payload() | payload, durable=durable)
        return str((yield call))


def _key(tenant: str, idempotency: Idempotency) -> str:
    """Return the Redis key of an idempotency key."""
    return f"idempotency:{tenant}:{idempotency.key_hash}"


def _stored(batch_id: str, pairs: Sequence[str], *, fresh: bool) -> StoredBatch:
    return StoredBatch(BatchId(batch_id), _read(BatchId(batch_id), pairs), fresh)


def _read(batch_id: BatchId, pairs: Sequence[str]) -> Batch | None:
    fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
    return Batch.from_fields(batch_id, fields) if "request" in fields else None
