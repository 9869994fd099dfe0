"""The record of a batch; no I/O, no clock."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NewType

from core.jobs.status import TERMINAL, CallbackState, Status

BatchId = NewType("BatchId", str)
#: Where a results file is stored if the caller names no key, or one that is taken.
DEFAULT_RESULTS_KEY: Final = "batches/{batch_id}.ndjson"
#: The media type of a results file.
RESULTS_TYPE: Final = "application/x-ndjson"
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


class BatchStatus(StrEnum):
    """Status of a batch; each comment says what it waits for."""

    RUNNING = "running"  # the end of its jobs
    ENDED = "ended"  # its results file; callers see it as running
    COMPLETED = "completed"  # nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """What the caller asked for, apart from the items; immutable after intake."""

    tenant: str
    callback_url: str | None = None
    #: Object key (or key template) of the results file.
    results_key: str = DEFAULT_RESULTS_KEY
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: The batch whose failed items this batch retries.
    retry_of: BatchId | None = None
    created_at: float  # Unix time in seconds

    def to_json(self) -> str:
        """Serialize the request for Redis."""
        return _encode(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "BatchRequest":
        """Parse what `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch as read from Redis; only `core/redis/lua` changes it."""

    id: BatchId
    status: BatchStatus
    request: BatchRequest
    #: Number of its items.
    total: int
    #: Status -> number of its jobs. An item that is no job yet counts as queued.
    counts: Mapping[Status, int]
    #: Credits that its tasks cost so far, as reported; None if nothing was.
    cost: float | None = None
    #: Unix time in seconds: when its last job ended; None until its results file is stored, too.
    ended_at: float | None = None
    #: Unix time in seconds: when its jobs' records may expire at the earliest.
    keep_until: float
    canceled_at: float | None = None
    #: The results file: `bucket`, `key`, `bytes`, `sha256`.
    results: Mapping[str, Any] | None = None
    #: How often its results file was delayed.
    tries: int = 0
    callback_state: CallbackState = CallbackState.NONE
    callback_attempts: int = 0
    #: The newest attempts: `at`, `status` or `error`.
    callback_log: tuple[Mapping[str, Any], ...] = ()
    #: Unix time at which a resend of the callback was requested, and the attempts made before.
    callback_from: float | None = None
    callback_before: int = 0
    #: How often that was.
    callback_resends: int = 0
    #: The batch that retries what failed in this one.
    retried_as: BatchId | None = None

    @property
    def ended(self) -> int:
        """Number of its jobs that have ended."""
        return sum(number for status, number in self.counts.items() if status in TERMINAL)

    @classmethod
    def from_fields(cls, batch_id: BatchId, fields: Mapping[str, str]) -> "Batch":
        """Parse a record's hash fields."""

        def number(name: str) -> float | None:
            return float(fields[name]) if fields.get(name) else None

        total, status = int(fields["total"]), BatchStatus(fields["status"])
        counts = {status: int(fields.get(f"jobs:{status}", 0)) for status in Status}
        counts[Status.QUEUED] += total - sum(counts.values())
        return cls(
            id=batch_id,
            status=status,
            request=BatchRequest.from_json(fields["request"]),
            total=total,
            counts=counts,
            cost=number("cost"),
            ended_at=number("ended_at") if status is BatchStatus.COMPLETED else None,
            keep_until=float(fields["keep_until"]),
            canceled_at=number("canceled_at"),
            results=json.loads(fields["results"]) if "results" in fields else None,
            tries=int(fields.get("tries", 0)),
            callback_state=CallbackState(fields.get("callback_state", CallbackState.NONE)),
            callback_attempts=int(fields.get("callback_attempts", 0)),
            callback_log=tuple(json.loads(fields.get("callback_log", "[]"))),
            callback_from=number("callback_from"),
            callback_before=int(fields.get("callback_before", 0)),
            callback_resends=int(fields.get("callback_resends", 0)),
            retried_as=BatchId(fields["retried_as"]) if "retried_as" in fields else None,
        )


def results_key(template: str, batch_id: str, tenant: str, created_at: float) -> str:
    """Return the key of a results file: the same in each run, for it depends on the batch."""
    date = datetime.fromtimestamp(created_at, UTC).strftime("%Y-%m-%d")
    filled = {"{batch_id}": batch_id, "{tenant}": tenant, "{date}": date}
    for name, value in filled.items():
        template = template.replace(name, value)
    return template
