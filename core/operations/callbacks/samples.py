"""Sample events that a caller has sent to a URL, to try its receiver.

The service never calls out: a task in the queue of callbacks sends the event, and leaves the
outcome in Redis. A test that is lost with its worker is simply repeated by the caller.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from core.batches.batch import Batch, BatchId, BatchRequest, BatchStatus
from core.batches.views import batch_view
from core.jobs.callback_events import CallbackEvent
from core.jobs.job import Job, JobId, JobRequest
from core.jobs.status import Status
from core.jobs.views import job_view
from core.operations.callbacks.attempts import Outcome
from core.redis.store import JobStore
from core.redis.transitions import ScriptCall

#: Seconds that a test and its outcome are kept.
_KEPT: Final = 3600
#: The job or batch of sample events; none has this id.
_SAMPLE: Final = "00000000-0000-7000-8000-000000000000"
_SAMPLE_AT: Final = 1_767_225_600.0  # Unix time: 2026-01-01
_WAYS: Final[Mapping[CallbackEvent, tuple[Status, ...]]] = {
    CallbackEvent.JOB_GENERATING: (Status.GENERATING,),
    CallbackEvent.JOB_SUCCEEDED: (Status.GENERATING, Status.STORING, Status.SUCCEEDED),
    CallbackEvent.JOB_FAILED: (Status.GENERATING, Status.FAILED),
    CallbackEvent.JOB_CANCELED: (Status.CANCELED,),
}
#: What `callback.test` tells, which is of no job and of no batch.
TEST_DATA: Final[Mapping[str, Any]] = {"message": "This is a test of your receiver."}
#: The events that can be tried.
TRIABLE: Final = (CallbackEvent.TEST, *_WAYS, CallbackEvent.BATCH_COMPLETED)
_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class CallbackTest(NamedTuple):
    """One sample event and what came of it."""

    tenant: str
    url: str
    event_type: CallbackEvent
    #: None: it was not sent yet.
    outcome: Outcome | None
    #: The HTTP status of the answer, or the error in its place.
    status: int | None
    error: str | None
    milliseconds: int | None


def order(store: JobStore, test_id: str, tenant: str, url: str, kind: CallbackEvent) -> ScriptCall:
    """Return the script call that has a sample event sent."""
    fields = {"tenant": tenant, "url": url, "type": str(kind)}
    return ScriptCall(
        "test_callback", store.payload() | {"test": test_id, "fields": fields, "ttl": _KEPT}
    )


def read(store: JobStore, test_id: str) -> CallbackTest | None:
    """Return a test; None if it is not kept (any more).

    Raises:
        StoreUnavailable: Redis is unreachable.
    """
    return parse(store.read("hgetall", key(test_id)))


def key(test_id: str) -> str:
    """Return the key of a test's record."""
    return f"callback-test:{test_id}"


def parse(fields: Mapping[str, str]) -> CallbackTest | None:
    """Return a test from its record; None if it is not kept (any more)."""
    if "url" not in fields:
        return None
    return CallbackTest(
        tenant=fields["tenant"],
        url=fields["url"],
        event_type=CallbackEvent(fields["type"]),
        outcome=Outcome(fields["outcome"]) if "outcome" in fields else None,
        status=int(fields["status"]) if "status" in fields else None,
        error=fields.get("error"),
        milliseconds=int(fields["ms"]) if "ms" in fields else None,
    )


def record(store: JobStore, test_id: str, attempt: Mapping[str, str]) -> None:
    """Record what came of a test, and list it among the attempts.

    Raises:
        StoreUnavailable: Redis is unreachable.
    """
    store.scripts.run(
        "test_callback", store.payload() | {"test": test_id, "attempt": dict(attempt)}
    )


def sample_data(kind: CallbackEvent, tenant: str, bucket: str) -> dict[str, Any]:
    """Return what a sample event is about, in the form of a real one."""
    if kind is CallbackEvent.TEST:
        return dict(TEST_DATA)
    if kind is CallbackEvent.BATCH_COMPLETED:
        return batch_view(_sample_batch(tenant, bucket), _SAMPLE_AT)
    return job_view(_sample_job(kind, tenant, bucket))


def _sample_batch(tenant: str, bucket: str) -> Batch:
    """Return the batch that a sample event is about."""
    results = {
        "bucket": bucket,
        "key": f"batches/{_SAMPLE}.ndjson",
        "bytes": 1024,
        "sha256": _SHA256,
    }
    return Batch(
        id=BatchId(_SAMPLE),
        status=BatchStatus.COMPLETED,
        request=BatchRequest(tenant=tenant, metadata={"test": True}, created_at=_SAMPLE_AT),
        total=3,
        counts=dict.fromkeys(Status, 0) | {Status.SUCCEEDED: 2, Status.FAILED: 1},
        cost=8.0,
        ended_at=_SAMPLE_AT + 60,
        keep_until=_SAMPLE_AT + 86_400,
        results=results,
    )


def _sample_job(kind: CallbackEvent, tenant: str, bucket: str) -> Job:
    """Return the job that a sample event is about."""
    way = (Status.QUEUED, Status.SUBMITTING, *_WAYS[kind])
    ended = way[-1]
    sample: dict[str, Any] = {
        "role": "sample",
        "bucket": bucket,
        "key": f"2026-01-01/{_SAMPLE}.png",
        "bytes": 1_482_032,
        "sha256": _SHA256,
        "content_type": "image/png",
        "width": 1024,
        "height": 768,
        "provider_id": _SAMPLE,
    }
    error = {
        "code": "provider_error",
        "message": "A sample of an error",
        "retryable": True,
        "provider_status": "Error",
    }
    return Job(
        id=JobId(_SAMPLE),
        status=ended,
        request=JobRequest(
            tenant=tenant,
            model="flux-pro-1.1",
            input={"prompt": "A sample of a callback"},
            metadata={"test": True},
            created_at=_SAMPLE_AT,
            deadline_at=_SAMPLE_AT + 86_400,
        ),
        timeline=tuple((status, _SAMPLE_AT + at) for at, status in enumerate(way)),
        artifacts=(sample,) if ended is Status.SUCCEEDED else (),
        error=error if ended is Status.FAILED else None,
    )
