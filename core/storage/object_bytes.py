"""The bytes of an object on their way: what is sent, and what is read piece by piece."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import md5
from typing import IO, TYPE_CHECKING

from core.storage.s3_errors import ConditionFailed, translated

if TYPE_CHECKING:
    from botocore.response import StreamingBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An object to be stored."""

    key: str
    body: IO[bytes]
    sha256: bytes
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    #: Called after each part of a large object, to renew the caller's lease.
    alive: Callable[[], None] | None = None

    def md5(self) -> bytes:
        """Return the MD5 of the bytes; computed on demand, unlike the SHA-256."""
        digest = md5(usedforsecurity=False)
        self.body.seek(0)
        while piece := self.body.read(1024 * 1024):
            digest.update(piece)
        return digest.digest()

    def size(self) -> int:
        """Return the number of bytes."""
        return self.body.seek(0, io.SEEK_END)


def require_free(key: str, is_free: Callable[[str], bool] | None) -> None:
    """Check that a key is free, if anything can check it.

    Raises:
        ConditionFailed: It is taken.
    """
    if is_free is not None and not is_free(key):
        raise ConditionFailed(f"The key {key} is taken", 0)


class ObjectReader:
    """Streams an object's bytes from S3, without holding them all in memory."""

    def __init__(self, body: "StreamingBody") -> None:
        self._body = body

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; empty at the end.

        Raises:
            StorageUnavailable: The connection to S3 broke.
        """
        with translated("read on"):
            return self._body.read(size)

    def close(self) -> None:
        """Release the connection."""
        self._body.close()
