"""An object of the bucket that is read piece by piece."""

from typing import TYPE_CHECKING

from core.storage.s3_errors import translated

if TYPE_CHECKING:
    from botocore.response import StreamingBody


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
