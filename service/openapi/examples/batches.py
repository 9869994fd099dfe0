"""Batches as they are shown, made by the same code that shows real ones."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from core.batches.batch import Batch, BatchId, BatchRequest, BatchStatus
from core.batches.views import batch_view
from core.jobs.status import CallbackState, Status

_AT: Final = 1795278600.25  # Unix time: 2026-11-21T16:30:00.250Z
_ID: Final = BatchId("01a1ff02-1be0-7c55-a3d1-6f0b52c8e914")
_NEW_ID: Final = BatchId("01a1ff0b-4c02-7a3e-9b60-2f6d1b7e8a55")
_RUNNING: Final = Batch(
    id=_ID,
    status=BatchStatus.RUNNING,
    request=BatchRequest(
        tenant="demo",
        callback_url="https://app.example/done",
        metadata={"catalogue": "winter"},
        created_at=_AT,
    ),
    total=1000,
    counts={**dict.fromkeys(Status, 0), Status.QUEUED: 676, Status.GENERATING: 24}
    | {Status.SUCCEEDED: 299, Status.FAILED: 1},
    cost=1196.0,
    keep_until=_AT,
    callback_state=CallbackState.WAITING,
)
_COMPLETED: Final = replace(
    _RUNNING,
    status=BatchStatus.COMPLETED,
    counts={**dict.fromkeys(Status, 0), Status.SUCCEEDED: 998, Status.FAILED: 2},
    cost=3992.0,
    ended_at=_AT + 212.5,
    results={
        "bucket": "pictures",
        "key": f"batches/{_ID}.ndjson",
        "bytes": 512_406,
        "sha256": "4b3e9a1f2c7d8e6a5f40b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f506",
    },
    callback_state=CallbackState.DELIVERED,
    callback_attempts=1,
    callback_log=({"at": _AT + 213.1, "status": 204, "error": None},),
)
_RETRY: Final = replace(
    _RUNNING,
    id=_NEW_ID,
    request=replace(_RUNNING.request, retry_of=_ID, created_at=_AT + 600),
    total=2,
    counts={**dict.fromkeys(Status, 0), Status.QUEUED: 2},
    cost=None,
)
_NOW: Final = _AT + 60

#: Views by what they show.
RUNNING: Final[Mapping[str, Any]] = batch_view(_RUNNING, _NOW)
COMPLETED: Final[Mapping[str, Any]] = batch_view(_COMPLETED, _NOW)
RETRY: Final[Mapping[str, Any]] = batch_view(_RETRY, _NOW)
UNTOLD: Final[Mapping[str, Any]] = batch_view(
    replace(_COMPLETED, callback_state=CallbackState.DEAD), _NOW
)
SENT_AGAIN: Final[Mapping[str, Any]] = batch_view(
    replace(_COMPLETED, callback_state=CallbackState.PENDING), _NOW
)
#: A batch that was just accepted, with one item left out.
ACCEPTED: Final[Mapping[str, Any]] = {
    **batch_view(replace(_RUNNING, total=2, counts=_RETRY.counts, cost=None), _NOW),
    "rejected": [
        {
            "line": 3,
            "custom_id": "fox-3",
            "field": "input.width",
            "detail": "is 1000",
            "allowed": "a multiple of 32 from 256 to 1440",
            "fix": "send a multiple of 32 from 256 to 1440, or leave input.width out",
        }
    ],
    "rejected_total": 1,
}
