"""The demo's checks of a finished job."""

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image, UnidentifiedImageError
from standardwebhooks.webhooks import WebhookVerificationError

from stack.commands.client import Clip, Job, LedgerTask, StoredFile
from stack.commands.demo_jobs import DemoJob
from stack.display.view import Check
from stack.receiver import Callback

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Bytes of a box's length and kind.
_BOX_HEAD = 8


def check_file(
    s3: "S3Client",
    file: StoredFile,
    *,
    tasks: tuple[LedgerTask, ...],
    job: DemoJob,
    path: Path,
) -> list[Check]:
    """Fetch the file from the bucket, save it, and check it against the request and the ledger.

    Args:
        s3: A client with the bucket owner's credentials.
        file: The image or video according to the service.
        tasks: The provider's tasks.
        job: What was asked for.
        path: Where to save the file.
    """
    try:
        body = s3.get_object(Bucket=file.bucket, Key=file.key)["Body"].read()
    except (BotoCoreError, ClientError) as error:
        return [Check("stored", passed=False, text=f"{file.uri}: {error}")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    digest = hashlib.sha256(body).hexdigest()
    return [
        Check("stored", passed=len(body) == file.bytes, text=file.uri),
        *_check_content(body, file, job),
        Check("SHA-256", passed=digest == file.sha256, text=digest),
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


def _check_content(body: bytes, file: StoredFile, job: DemoJob) -> list[Check]:
    if job.clip is None:
        return [_check_picture(body, job.size)]
    size = (file.width, file.height)
    whole = _is_whole_mp4(body)
    text = f"{_size_text(size)}, MP4, {len(body):,} bytes" if whole else "the file is no whole MP4"
    return [
        Check("size", passed=whole and size == job.size, text=text),
        _check_clip(file.clip, job.clip),
    ]


def _check_picture(body: bytes, size: tuple[int, int]) -> Check:
    try:
        with Image.open(io.BytesIO(body)) as picture:
            picture.load()  # decodes the whole file: a truncated one has a valid header, too
            text = f"{_size_text(picture.size)}, {picture.format}, {len(body):,} bytes"
            return Check("size", passed=picture.size == size, text=text)
    except (UnidentifiedImageError, OSError) as error:
        return Check("size", passed=False, text=f"the file does not open as an image: {error}")


def _is_whole_mp4(body: bytes) -> bool:
    """Return whether the first box is that of an MP4, and the boxes fill the file.

    Boxes with a length of 64 bits do not occur: those are for files over 4 GB.
    """
    end = 0
    while end < len(body):
        length = int.from_bytes(body[end : end + 4], "big")
        if length < _BOX_HEAD:
            return False
        end += length
    return end == len(body) and body[4:8] == b"ftyp"


def _check_clip(clip: Clip | None, wanted: Clip) -> Check:
    if clip is None:
        return Check("video", passed=False, text="the job has no facts of a video")
    text = (
        f"{clip.seconds:g} s, {clip.frames_per_second:g} frames per second, "
        f"tracks: {', '.join(clip.tracks)}"
    )
    return Check("video", passed=clip == wanted, text=text)


def _size_text(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]} pixels"


def _check_ledger(digest: str, tasks: tuple[LedgerTask, ...]) -> Check:
    match tasks:
        case [task] if task.sha256 == digest:
            text = "made it once, and its ledger holds the same SHA-256"
            return Check("provider", passed=True, text=text)
        case [task]:
            text = f"made other bytes: its ledger holds {task.sha256}"
        case _:
            text = f"made {len(tasks)} results for this job instead of one"
    return Check("provider", passed=False, text=text)
