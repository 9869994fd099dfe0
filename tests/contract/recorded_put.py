"""An image put as a collect worker puts it, and the requests that it took."""

import io
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from core.storage.object_store import ObjectStore
from tests.fake_s3 import FakeS3

BODY: Final = bytes(range(256)) * 40


def put_image(objects: ObjectStore, key: str, body: bytes = BODY, job: str = "1") -> bool:
    """Put an image unless its key is taken by another job; say whether it is there."""
    return objects.put_once(
        key,
        io.BytesIO(body),
        sha256=sha256(body).digest(),
        content_type="image/png",
        metadata={"job-id": job},
    )


def requests_of(s3: FakeS3, act: Callable[[], object]) -> list[str]:
    """Return the methods of the requests that something took."""
    before = len(s3.requests)
    act()
    return [method for method, _ in s3.requests[before:]]
