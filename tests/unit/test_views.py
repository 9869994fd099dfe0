"""How a job looks from outside, and what is kept from it."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from core.jobs.job import Job, JobId, JobRequest
from core.jobs.status import CallbackState, Status
from core.jobs.views import job_view, timestamp

STORED = {"bucket": "pictures", "key": "a/1.jpg", "bytes": 5, "content_type": "image/jpeg"}
IMAGE_VIEW = {"uri": "s3://pictures/a/1.jpg", **STORED, "margin_seconds": 598.5}
VIDEO = {"role": "sample", "bucket": "b", "key": "a/1.mp4", "content_type": "video/mp4"}
BUNDLE = {"role": "draft_cache", "bucket": "b", "key": "a/1.mp4.draft_cache.bin"}
REQUEST = JobRequest(
    tenant="demo",
    model="flux-kontext-pro",
    input={"prompt": "p", "seed": 7},
    input_keys={"input_image": "_inputs/1/input_image"},
    callback_url="https://example.com/done",
    output_key="{job_id}",
    region="eu",
    priority=5,
    metadata={"order": 1},
    created_at=1_750_000_000.0,
    deadline_at=1_750_086_400.0,
)
JOB = Job(
    id=JobId("1"),
    status=Status.SUCCEEDED,
    request=REQUEST,
    timeline=((Status.QUEUED, 1_750_000_000.0), (Status.SUCCEEDED, 1_750_000_009.5)),
    pool="default-pool",
    posting_at=1.0,
    posting_by="run-of-the-step",
    tries={"poll": 3},
    provider_id="task-1",
    polling_url="https://api.example/get_result?id=signed-polling",
    cost=4.0,
    input_megapixels=0.5,
    output_megapixels=1.05,
    result_url="https://delivery.example/sample.jpeg?sig=signed-result",
    result_expires_at=9e9,
    seed=42,
    resubmits=1,
    margin=598.5,
    artifacts=({"role": "sample", **STORED},),
    callback_state=CallbackState.DELIVERED,
    callback_attempts=2,
    callback_log=({"at": 1_750_000_010.0, "status": 500, "error": None},),
)


def test_files_within_arrays() -> None:
    """Each file is shown where it was sent, and what stands around it as it came."""
    request = dataclasses.replace(
        REQUEST,
        input={"images": ["https://h/a.png", None], "keyframes": [[0, None], [1, "https://h/b"]]},
        input_keys={"images.1": "k1", "keyframes.0.1": "k2", "video": "k3"},
    )

    shown = job_view(dataclasses.replace(JOB, request=request))["input"]

    stored = {"bytes_in": "s3"}
    assert shown == {
        "images": ["https://h/a.png", stored],
        "keyframes": [[0, stored], [1, "https://h/b"]],
        "video": stored,
    }
    assert request.input["images"] == ["https://h/a.png", None]


def test_an_ended_job() -> None:
    """Everything a caller may know is there, with times as ISO 8601 in UTC."""
    assert job_view(JOB) == {
        "id": "1",
        "model": "flux-kontext-pro",
        "status": "succeeded",
        "input": {"prompt": "p", "seed": 7, "input_image": {"bytes_in": "s3"}},
        "metadata": {"order": 1},
        "region": "eu",
        "priority": 5,
        "regenerate": False,
        "max_resubmits": None,
        "created_at": "2025-06-15T15:06:40.000Z",
        "deadline_at": "2025-06-16T15:06:40.000Z",
        "ended_at": "2025-06-15T15:06:49.500Z",
        "timeline": [
            {"status": "queued", "at": "2025-06-15T15:06:40.000Z"},
            {"status": "succeeded", "at": "2025-06-15T15:06:49.500Z"},
        ],
        "image": IMAGE_VIEW,
        "artifacts": [{"role": "sample", **IMAGE_VIEW}],
        **dict.fromkeys(("error", "waiting", "queue", "batch", "retry_of", "retried_as")),
        "callback": {
            "url": "https://example.com/done",
            "events": ["job.succeeded", "job.failed", "job.canceled"],
            "state": "delivered",
            "attempts": 2,
            "log": [{"at": "2025-06-15T15:06:50.000Z", "status": 500, "error": None}],
        },
        "provider": {
            "id": "task-1",
            "seed": 42,
            "cost": 4.0,
            "discarded": False,
            "input_megapixels": 0.5,
            "output_megapixels": 1.05,
            "resubmits": 1,
            "expired": None,
        },
    }


@pytest.mark.parametrize("status", Status)
def test_nothing_signed_and_nothing_internal_shows(status: Status) -> None:
    """At no status does the view hold a signed URL, an input's key or our own book-keeping."""
    shown = json.dumps(job_view(dataclasses.replace(JOB, status=status)))

    for hidden in ("signed-", "_inputs/", "run-of-the-step", "default-pool", "demo", "tries"):
        assert hidden not in shown


def test_a_fresh_job() -> None:
    """What is not known yet is null, and a job without a callback has none."""
    request = dataclasses.replace(REQUEST, callback_url=None, input_keys={})
    fresh = Job(
        id=JobId("1"),
        status=Status.QUEUED,
        request=request,
        timeline=((Status.QUEUED, 1_750_000_000.0),),
    )

    view = job_view(fresh)

    assert view["artifacts"] == []
    assert [view[name] for name in ("ended_at", "image", "error", "callback")] == [None] * 4
    assert view["provider"] == {
        "id": None,
        "seed": None,
        "cost": None,
        "discarded": False,
        "input_megapixels": None,
        "output_megapixels": None,
        "resubmits": 0,
        "expired": None,
    }
    assert view["input"] == {"prompt": "p", "seed": 7}


def test_a_doubt_shows() -> None:
    """The caller sees what is waited for, since and until when, and why."""
    shown = dataclasses.replace(
        JOB,
        status=Status.SUBMITTING,
        posting_at=1_750_000_001.0,
        doubt_until=1_750_000_301.0,
        doubt_reason="silence",
    )

    assert job_view(shown)["waiting"] == {
        "for": "provider",
        "since": "2025-06-15T15:06:41.000Z",
        "until": "2025-06-15T15:11:41.000Z",
        "last_problem": "silence",
    }


def test_a_failed_job_says_why() -> None:
    """The error is shown as it was recorded."""
    error = {"code": "timed_out", "message": "m", "retryable": True}

    failed = dataclasses.replace(JOB, status=Status.FAILED, artifacts=(), error=error)

    assert job_view(failed)["error"] == error


def test_a_video_is_an_artifact_and_no_image() -> None:
    """Each file of a result is shown with its role and place, and `image` is null."""
    bundle = {**BUNDLE, "content_type": "application/octet-stream"}

    view = job_view(dataclasses.replace(JOB, artifacts=(VIDEO, bundle)))

    assert view["image"] is None
    assert [artifact["role"] for artifact in view["artifacts"]] == ["sample", "draft_cache"]
    assert [artifact["uri"] for artifact in view["artifacts"]] == [
        "s3://b/a/1.mp4",
        "s3://b/a/1.mp4.draft_cache.bin",
    ]


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (None, None),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_750_000_000.9994, "2025-06-15T15:06:40.999Z"),
        (
            datetime(2025, 6, 15, 12, tzinfo=timezone(timedelta(hours=-5))).timestamp(),
            "2025-06-15T17:00:00.000Z",
        ),
    ],
)
def test_timestamps(at: float | None, text: str | None) -> None:
    """Times are UTC with milliseconds, and read back as the same moment."""
    assert timestamp(at) == text
    if at is not None and text is not None:
        moment = datetime.fromisoformat(text)
        assert moment.tzinfo == UTC
        assert abs(moment.timestamp() - at) < 0.001
