"""The demo's checks fail when what they check is not so."""

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image
from standardwebhooks.webhooks import Webhook

from stack.commands.client import Job, LedgerTask, StoredImage
from stack.commands.proof import check_callback, check_picture
from stack.display.view import Check
from stack.receiver import Callback
from stack.servers.seaweed import SeaweedFS

SECRET = "whsec_c2l4dGVlbi1ieXRlcy1vci1tb3JlLW9mLWl0"
JOB = Job("job-1", "succeeded", (), None, None, "delivered", 1)


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 32), 50).save(buffer, "JPEG")
    return buffer.getvalue()


def _image(body: bytes) -> StoredImage:
    digest = hashlib.sha256(body).hexdigest()
    return StoredImage("pictures", "p.jpeg", "s3://pictures/p.jpeg", len(body), digest, 64, 32)


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
    checks = check_picture(
        seaweed.client(), _image(recorded), tasks=tasks, size=size, path=path / "saved" / "p.jpeg"
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
    image = StoredImage("pictures", "gone", "s3://pictures/gone", 1, "", 64, 32)
    checks = check_picture(seaweed.client(), image, tasks=(), size=(64, 32), path=tmp_path / "x")
    assert _failed(checks) == ["stored"]


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
