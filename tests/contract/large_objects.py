"""A large object that is put in parts, into a small S3 and into a real server."""

import io
from hashlib import sha256
from typing import Any, Final

from core.storage.object_store import ObjectStore
from tests.video_files import NOISE

#: The smallest part that S3 takes.
PART: Final = 5 * 1024 * 1024
#: Two parts and a smaller one.
BODY: Final = NOISE * 3
KEY: Final = "videos/ä 1.mp4"


def put_large(objects: ObjectStore, body: bytes = BODY, job: str = "1", **more: Any) -> bool:
    """Put a video unless its key is taken; `digest` is the checksum that it should have."""
    return objects.put_once(
        KEY,
        io.BytesIO(body),
        sha256=more.pop("digest", None) or sha256(body).digest(),
        content_type="video/mp4",
        metadata={"job-id": job, "seconds": "5.0"},
        **more,
    )


def unfinished(objects: ObjectStore) -> list[Any]:
    """Return the uploads whose parts a server holds."""
    answer = objects._client.list_multipart_uploads(Bucket=objects.bucket, Prefix="videos/")  # noqa: SLF001 - what S3 holds
    return list(answer.get("Uploads", []))
