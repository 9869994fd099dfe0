"""The demo's checks fail when what they check is not so."""

import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image
from standardwebhooks.webhooks import Webhook

from stack.commands.client import Clip, Job, LedgerTask, StoredFile
from stack.commands.demo_jobs import DemoJob
from stack.commands.proof import check_callback, check_file
from stack.display.view import Check
from stack.receiver import Callback
from stack.servers.seaweed import SeaweedFS
from tests.video_files import video

SECRET = "whsec_c2l4dGVlbi1ieXRlcy1vci1tb3JlLW9mLWl0"
CLIP = Clip(seconds=5.0, frames_per_second=24.0, tracks=("video", "audio"))
JOB = Job("job-1", "succeeded", (), None, None, "delivered", 1)


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 32), 50).save(buffer, "JPEG")
    return buffer.getvalue()


def _image(body: bytes) -> StoredFile:
    digest = hashlib.sha256(body).hexdigest()
    return StoredFile("pictures", "p.jpeg", "s3://pictures/p.jpeg", len(body), digest, 64, 32)


def _failed(checks: list[Check]) -> list[str]:
    return [check.label for check in checks if not check.passed]


def _check(
    seaweed: SeaweedFS,
    path: Path,
    *,
    stored: bytes,
    recorded: bytes,
    made: tuple[bytes, ...],
    size: tuple[int, int] = (64, 32),
) -> list[str]:
    seaweed.client().put_object(Bucket="pictures", Key="p.jpeg", Body=stored)
    tasks = tuple(LedgerTask("t", hashlib.sha256(body).hexdigest(), 64, 32) for body in made)
    checks = check_file(
        seaweed.client(),
        _image(recorded),
        tasks=tasks,
        job=DemoJob("model", {}, size),
        path=path / "saved" / "p.jpeg",
    )
    return _failed(checks)


def test_everything_holds_for_the_right_picture(seaweed: SeaweedFS, tmp_path: Path) -> None:
    """The picture is saved as it is in the bucket, and no check fails."""
    body = _picture()
    assert _check(seaweed, tmp_path, stored=body, recorded=body, made=(body,)) == []
    assert (tmp_path / "saved" / "p.jpeg").read_bytes() == body


def test_other_bytes_in_the_bucket_are_noticed(seaweed: SeaweedFS, tmp_path: Path) -> None:
    """A whole picture with other bytes than recorded and made fails by length and digest."""
    body = _picture()
    other = body + b"!"
    failed = _check(seaweed, tmp_path, stored=other, recorded=body, made=(body,))
    assert failed == ["stored", "SHA-256", "provider"]


def test_a_torn_picture_is_noticed(seaweed: SeaweedFS, tmp_path: Path) -> None:
    """A file whose end is missing does not count as a picture, though its header is right."""
    body = _picture()[:700]
    assert _check(seaweed, tmp_path, stored=body, recorded=body, made=(body,)) == ["size"]


def test_another_size_is_noticed(seaweed: SeaweedFS, tmp_path: Path) -> None:
    """The size asked for counts, not the one that is told."""
    body = _picture()
    failed = _check(seaweed, tmp_path, stored=body, recorded=body, made=(body,), size=(65, 32))
    assert failed == ["size"]


@pytest.mark.parametrize("times", [0, 2])
def test_a_job_paid_not_once_is_noticed(seaweed: SeaweedFS, tmp_path: Path, times: int) -> None:
    """No task at the provider is as wrong as two."""
    body = _picture()
    failed = _check(seaweed, tmp_path, stored=body, recorded=body, made=(body,) * times)
    assert failed == ["provider"]


def test_a_missing_object_is_noticed(seaweed: SeaweedFS, tmp_path: Path) -> None:
    """When the bucket does not hold the key, that is the only error."""
    image = StoredFile("pictures", "gone", "s3://pictures/gone", 1, "", 64, 32)
    job = DemoJob("model", {}, (64, 32))
    checks = check_file(seaweed.client(), image, tasks=(), job=job, path=tmp_path / "x")
    assert _failed(checks) == ["stored"]


def _check_video(
    seaweed: SeaweedFS,
    path: Path,
    body: bytes,
    *,
    told: Clip | None = CLIP,
    size: tuple[int, int] = (320, 192),
) -> list[str]:
    seaweed.client().put_object(Bucket="pictures", Key="v.mp4", Body=body)
    digest = hashlib.sha256(body).hexdigest()
    uri = "s3://pictures/v.mp4"
    checks = check_file(
        seaweed.client(),
        StoredFile("pictures", "v.mp4", uri, len(body), digest, 320, 192, told),
        tasks=(LedgerTask("t", digest, 320, 192),),
        job=DemoJob("model", {}, size, CLIP),
        path=path / "v.mp4",
    )
    return _failed(checks)


def test_everything_holds_for_the_right_video(seaweed: SeaweedFS, tmp_path: Path) -> None:
    """The video is saved as it is in the bucket, and no check fails."""
    assert _check_video(seaweed, tmp_path, video()) == []
    assert (tmp_path / "v.mp4").read_bytes() == video()


@pytest.mark.parametrize(
    "body",
    [video()[:-100], video()[:10], b"<html><body>Bad gateway</body></html>", bytes(64), b""],
    ids=["cut off", "cut off within a box's head", "a page", "zeros", "nothing"],
)
def test_a_file_that_is_no_whole_video_is_noticed(
    seaweed: SeaweedFS, tmp_path: Path, body: bytes
) -> None:
    """A file whose boxes do not fill it does not count as a video, whatever the job says."""
    assert _check_video(seaweed, tmp_path, body) == ["size"]


def test_another_size_of_a_video_is_noticed(seaweed: SeaweedFS, tmp_path: Path) -> None:
    """The size asked for counts, not the one that is told."""
    assert _check_video(seaweed, tmp_path, video(), size=(320, 180)) == ["size"]


@pytest.mark.parametrize(
    "told",
    [
        replace(CLIP, seconds=4.0),
        replace(CLIP, frames_per_second=30.0),
        replace(CLIP, tracks=("video",)),
        None,
    ],
    ids=["shorter", "another rate", "without sound", "no facts"],
)
def test_another_video_than_asked_for_is_noticed(
    seaweed: SeaweedFS, tmp_path: Path, told: Clip | None
) -> None:
    """Length, rate and tracks must be those that were asked for."""
    assert _check_video(seaweed, tmp_path, video(), told=told) == ["video"]


def _callback(payload: object, secret: str) -> Callback:
    body, now = json.dumps(payload), datetime.now(UTC)
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("m", now, body),
    }
    return Callback("/", headers, body.encode(), now.timestamp(), 204)


@pytest.mark.parametrize(
    ("payload", "secret", "passed"),
    [
        ({"type": "job.succeeded", "data": {"id": "job-1"}}, SECRET, True),
        ({"type": "job.succeeded", "data": {"id": "job-2"}}, SECRET, False),
        ({"type": "job.failed", "data": {"id": "job-1"}}, SECRET, False),
        ({"type": "job.succeeded", "data": {"id": "job-1"}}, "whsec_b3RoZXI=", False),
        (["no", "object"], SECRET, False),
    ],
    ids=["right", "another job", "a failure", "another secret", "another shape"],
)
def test_only_the_signed_success_of_this_job_counts(
    payload: object, secret: str, passed: bool
) -> None:
    """A callback passes only with the right signature, type and job."""
    assert check_callback(_callback(payload, secret), SECRET, JOB).passed is passed
