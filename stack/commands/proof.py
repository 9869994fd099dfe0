"""The demo's checks of a finished job."""

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image, UnidentifiedImageError
from standardwebhooks.webhooks import WebhookVerificationError

from stack.commands.client import Job, LedgerTask, StoredImage
from stack.display.view import Check
from stack.receiver import Callback

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def check_picture(
    s3: "S3Client",
    image: StoredImage,
    *,
    tasks: tuple[LedgerTask, ...],
    size: tuple[int, int],
    path: Path,
) -> list[Check]:
    """Fetch the image from the bucket, save it, and check it against the request and the ledger.

    Args:
        s3: A client with the bucket owner's credentials.
        image: The image according to the service.
        tasks: The provider's tasks for the job.
        size: The requested width and height in pixels.
        path: Where to save the image.
    """
    try:
        body = s3.get_object(Bucket=image.bucket, Key=image.key)["Body"].read()
    except (BotoCoreError, ClientError) as error:
        return [Check("stored", passed=False, text=f"{image.uri}: {error}")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    digest = hashlib.sha256(body).hexdigest()
    return [
        Check("stored", passed=len(body) == image.bytes, text=image.uri),
        _check_size(body, size),
        Check("SHA-256", passed=digest == image.sha256, text=digest),
        _check_ledger(digest, tasks),
        Check("saved", passed=path.stat().st_size == len(body), text=str(path)),
    ]


def check_callback(callback: Callback, secret: str, job: Job) -> Check:
    """Check that the callback has the caller's signature and is about this job."""
    try:
        payload = callback.verify(secret)
    except WebhookVerificationError as error:
        return Check("callback", passed=False, text=f"its signature does not verify: {error}")
    match payload:
        case {"type": "job.succeeded", "data": {"id": job.id}}:
            return Check(
                "callback", passed=True, text="received, Standard Webhooks signature verified"
            )
        case _:
            return Check("callback", passed=False, text="signed, but not about this job's success")


def _check_size(body: bytes, size: tuple[int, int]) -> Check:
    try:
        with Image.open(io.BytesIO(body)) as picture:
            picture.load()  # decodes the whole file: a truncated one has a valid header, too
            text = (
                f"{picture.width} x {picture.height} pixels, {picture.format}, {len(body):,} bytes"
            )
            return Check("size", passed=picture.size == size, text=text)
    except (UnidentifiedImageError, OSError) as error:
        return Check("size", passed=False, text=f"the file does not open as an image: {error}")


def _check_ledger(digest: str, tasks: tuple[LedgerTask, ...]) -> Check:
    match tasks:
        case [task] if task.sha256 == digest:
            text = "made it once, and its ledger holds the same SHA-256"
            return Check("provider", passed=True, text=text)
        case [task]:
            text = f"made other bytes: its ledger holds {task.sha256}"
        case _:
            text = f"made {len(tasks)} images for this job instead of one"
    return Check("provider", passed=False, text=text)
