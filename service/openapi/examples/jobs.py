"""Jobs as they are shown, made by the same code that shows real ones."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from core.jobs.failures import FailureCode
from core.jobs.job import SAMPLE, Job, JobId, JobRequest
from core.jobs.status import CallbackState, Status
from core.jobs.views import job_view

_AT: Final = 1795278300.771  # Unix time: 2026-11-21T16:25:00.771Z
_DAY: Final = 86_400
_ID: Final = JobId("01a1feec-e663-77f8-ba48-1ab172ecb481")
_NEW_ID: Final = JobId("01a1ff01-90aa-7d31-9c55-20f4b7a1c0de")
_TASK: Final = "93cb4f36-9291-4d69-9978-27610c030e9d"

_QUEUED: Final = Job(
    id=_ID,
    status=Status.QUEUED,
    request=JobRequest(
        tenant="demo",
        model="flux-pro-1.1",
        input={"prompt": "A red fox in fresh snow", "width": 1024, "height": 768, "seed": 7},
        callback_url="https://app.example/done",
        metadata={"order": "1042"},
        created_at=_AT,
        deadline_at=_AT + _DAY,
    ),
    timeline=((Status.QUEUED, _AT),),
    callback_state=CallbackState.WAITING,
)
_GENERATING: Final = replace(
    _QUEUED,
    status=Status.GENERATING,
    timeline=(
        *_QUEUED.timeline,
        (Status.SUBMITTING, _AT + 0.004),
        (Status.GENERATING, _AT + 0.024),
    ),
    provider_id=_TASK,
)
_SUCCEEDED: Final = replace(
    _GENERATING,
    status=Status.SUCCEEDED,
    timeline=(
        *_GENERATING.timeline,
        (Status.STORING, _AT + 1.09),
        (Status.SUCCEEDED, _AT + 1.132),
    ),
    artifacts=(
        {
            "role": SAMPLE,
            "bucket": "pictures",
            "key": f"2026-11-21/{_ID}.jpg",
            "bytes": 36_440,
            "sha256": "09f9c65128c45a599c16b50749c35c38fa85ed0161e7927baa2ddf730c24a8c2",
            "content_type": "image/jpeg",
            "width": 1024,
            "height": 768,
            "provider_id": _TASK,
        },
    ),
    margin=599.959,
    seed=7,
    cost=4.0,
    callback_state=CallbackState.DELIVERED,
    callback_attempts=1,
    callback_log=({"at": _AT + 1.146, "status": 204, "error": None},),
)
_FAILED: Final = replace(
    _GENERATING,
    status=Status.FAILED,
    timeline=(*_GENERATING.timeline, (Status.FAILED, _AT + 9.8)),
    error={
        "code": FailureCode.PROVIDER_ERROR,
        "message": "The provider reported an error",
        "retryable": True,
        "provider_status": "Error",
    },
    callback_state=CallbackState.PENDING,
)
_CANCELED: Final = replace(
    _GENERATING,
    status=Status.CANCELED,
    timeline=(*_GENERATING.timeline, (Status.CANCELED, _AT + 2.5)),
    discarding=Status.GENERATING,
    discarded=True,
    callback_state=CallbackState.PENDING,
)
_RETRY: Final = replace(
    _QUEUED,
    id=_NEW_ID,
    request=replace(
        _QUEUED.request, retry_of=_ID, created_at=_AT + 1380, deadline_at=_AT + 1380 + _DAY
    ),
    timeline=((Status.QUEUED, _AT + 1380),),
)

#: Views by what they show.
QUEUED: Final[Mapping[str, Any]] = job_view(_QUEUED)
IN_LINE: Final[Mapping[str, Any]] = job_view(
    _QUEUED, {"position": 3, "estimated_start_at": "2026-11-21T16:25:02.104Z"}
)
GENERATING: Final[Mapping[str, Any]] = job_view(_GENERATING)
SUCCEEDED: Final[Mapping[str, Any]] = job_view(_SUCCEEDED)
FAILED: Final[Mapping[str, Any]] = job_view(_FAILED)
CANCELED: Final[Mapping[str, Any]] = job_view(_CANCELED)
#: A new job that retries the failed one.
RETRY: Final[Mapping[str, Any]] = job_view(_RETRY)
#: The one that succeeded, while its callback is sent again.
SENT_AGAIN: Final[Mapping[str, Any]] = job_view(
    replace(_SUCCEEDED, callback_state=CallbackState.PENDING)
)
#: An item of a batch.
OF_A_BATCH: Final[Mapping[str, Any]] = job_view(
    replace(
        _SUCCEEDED,
        request=replace(
            _QUEUED.request, batch="01a1ff02-1be0-7c55-a3d1-6f0b52c8e914", custom_id="fox-1"
        ),
    )
)
