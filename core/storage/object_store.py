"""The S3 client, for inputs at intake and images in workers; only this package knows boto3."""

import base64
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, Final

from botocore.config import Config

from core.errors import Permanent, StorageUnavailable
from core.jobs.failures import FailureCode
from core.storage.aws_session import aws_session
from core.storage.bucket_capabilities import Capabilities
from core.storage.direct_put import DirectPut
from core.storage.multipart_put import MultipartPut
from core.storage.object_bytes import ObjectReader, Upload
from core.storage.object_put import ObjectPut
from core.storage.s3_errors import (
    ConditionConflict,
    ConditionFailed,
    ObjectNotFound,
    translated,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CONNECT_TIMEOUT: Final = 5.0  # seconds
_CHUNK: Final = 192 * 1024  # bytes
#: Larger objects are sent in parts.
_LARGE: Final = 64 * 1024 * 1024  # bytes
_PART: Final = 16 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """Metadata of an object in the bucket."""

    size: int  # bytes
    sha256: str  # hex; from S3 or, on servers without checksums, from our own metadata
    #: Names are lower-case, whatever servers or proxies do to them.
    metadata: Mapping[str, str]
    #: As the server tells it; some forget what they were told.
    content_type: str = ""

    @property
    def whole(self) -> bool:
        """Whether size and checksum match what was sent, as far as both are known."""
        sent = self.metadata.get("bytes", str(self.size)), self.metadata.get("sha256", self.sha256)
        return sent == (str(self.size), self.sha256)


class ObjectStore:
    """Access to one bucket.

    Args:
        bucket: The bucket's name; it must exist.
        timeout: Seconds without a response after which S3 counts as unreachable.
        connections: Most concurrent requests.
        large: Bytes above which an object is sent in parts.
        part: Bytes of a part.
    """

    def __init__(
        self,
        bucket: str,
        *,
        timeout: float = 15.0,
        connections: int = 16,
        large: int = _LARGE,
        part: int = _PART,
    ) -> None:
        self.bucket = bucket
        config = Config(
            connect_timeout=min(_CONNECT_TIMEOUT, timeout),
            read_timeout=timeout,
            # Our steps retry with their own delays and jitter.
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=connections,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        session = aws_session()
        self._client: S3Client = session.client("s3", config=config)
        self._direct = DirectPut(session, self._client)
        self._multipart = MultipartPut(bucket, self._client, larger_than=large, part=part)
        self._put = ObjectPut(bucket, self._client, self._direct, self._multipart)
        self._needs_probe = False
        self._asking = threading.Lock()

    def require_probe(self) -> None:
        """Store no image before the server's capabilities have been probed."""
        self._needs_probe = True

    def probe_capabilities(self) -> Capabilities:
        """Probe the server's capabilities and apply them from now on."""
        with self._asking:
            capabilities = self._put.probe()
            self._needs_probe = False  # only now: images wait for the outcome
            return capabilities

    def put_once(
        self,
        key: str,
        body: IO[bytes],
        *,
        sha256: bytes,
        content_type: str,
        metadata: Mapping[str, str],
        alive: Callable[[], None] | None = None,
    ) -> bool:
        """Store an object unless its key is taken, and verify that it is stored intact.

        On a server that ignores the condition a race remains: between our two checks, a concurrent
        writer may overwrite the object or be overwritten.

        Returns:
            False if the key is taken.

        Raises:
            RequestRefused: S3 will never accept the key.
            StorageUnavailable: It may go well later.
        """
        more = {"sha256": sha256, "content_type": content_type, "alive": alive}
        upload = _upload(key, body, metadata, **more)
        self._ensure_probed()
        try:
            self._store("store the file", upload, once=True)
        except ConditionFailed:
            return False
        except ConditionConflict:  # a concurrent write may have won, or none
            if self.head(key) is None:
                raise
            return False
        return True

    def replace(
        self,
        key: str,
        body: IO[bytes],
        *,
        sha256: bytes,
        content_type: str,
        metadata: Mapping[str, str],
        alive: Callable[[], None] | None = None,
    ) -> None:
        """Store an object over an existing one, and verify that it is stored intact.

        Raises:
            StorageUnavailable: It may go well later.
        """
        more = {"sha256": sha256, "content_type": content_type, "alive": alive}
        upload = _upload(key, body, metadata, **more)
        self._store("store the file again", upload, once=False)

    def put(self, key: str, body: IO[bytes], *, sha256: bytes, content_type: str) -> None:
        """Store an object, overwriting any; S3 verifies the checksum.

        Raises:
            StorageUnavailable: It may go well later.
        """
        upload = Upload(key=key, body=body, sha256=sha256, content_type=content_type)
        self._store("store an input", upload, once=False)

    def _ensure_probed(self) -> None:
        """Probe the server unless that is done; concurrent callers wait."""
        if self._needs_probe:
            with self._asking:
                if self._needs_probe:
                    self._put.probe()
                    self._needs_probe = False

    def _store(self, action: str, upload: Upload, *, once: bool) -> None:
        """Put an object, and verify it with a HEAD if the response does not prove it.

        Raises:
            ConditionFailed: The key is taken by another writer.
        """
        is_free = (lambda key: self.head(key) is None) if once else None
        proven = self._put.send(action, upload, is_free)
        if proven and (self._put.is_trusted or not once):
            return
        there = self.head(upload.key)
        if there is None:
            raise StorageUnavailable(f"S3 reported {upload.key} as stored, but it does not exist")
        writer = upload.metadata.get("job-id")
        if there.metadata.get("job-id", writer) != writer:
            raise ConditionFailed(f"S3 let another writer overwrite {upload.key}", 0)
        digest = upload.sha256.hex()
        if (there.size, there.sha256 or digest) != (upload.size(), digest) or not there.whole:
            message = f"S3 stored {there.size} bytes at {upload.key}, which are not those sent"
            raise StorageUnavailable(message)

    def copy(self, source: str, target: str) -> bool:
        """Copy an object within the bucket, server-side.

        Returns:
            False if the source does not exist.

        Raises:
            StorageUnavailable: It may go well later.
        """
        if self.head(source) is None:  # servers report a missing source differently
            return False
        try:
            with translated("copy an input"):
                self._client.copy_object(
                    Bucket=self.bucket,
                    Key=target,
                    CopySource={"Bucket": self.bucket, "Key": source},
                )
        except ObjectNotFound:  # deleted since
            return False
        return True

    def head(self, key: str) -> StoredObject | None:
        """Return an object's metadata; None if it does not exist."""
        try:
            with translated("look at an object"):
                head = self._client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
                stated = head.get("ChecksumSHA256")
                known = base64.b64decode(stated).hex() if stated and "-" not in stated else ""
                metadata = {name.lower(): text for name, text in head["Metadata"].items()}
                return StoredObject(
                    size=head["ContentLength"],
                    sha256=known or metadata.get("sha256", ""),
                    metadata=metadata,
                    content_type=head.get("ContentType", ""),
                )
        except ObjectNotFound:
            return None

    def chunks(self, key: str, size: int = _CHUNK) -> Iterator[bytes]:
        """Yield an object's bytes, `size` at a time; sends no request before the first.

        Raises:
            Permanent: The object does not exist.
            StorageUnavailable: It may go well later.
        """
        try:
            with translated("read an input"):
                body = self._client.get_object(Bucket=self.bucket, Key=key)["Body"]
                with contextlib.closing(body):
                    while chunk := body.read(size):
                        yield chunk
        except ObjectNotFound:
            raise gone(key) from None

    def open(self, key: str, first: int, last: int) -> ObjectReader:
        """Open the bytes `first` to `last` of an object; close the returned reader.

        Raises:
            KeyError: The object does not exist.
            Archived: It is in an archive storage class.
            StorageUnavailable: It may go well later.
        """
        try:
            with translated("read a file"):
                answer = self._client.get_object(
                    Bucket=self.bucket, Key=key, Range=f"bytes={first}-{last}"
                )
        except ObjectNotFound:
            raise KeyError(key) from None
        return ObjectReader(answer["Body"])

    def abort_uploads(self, key: str) -> int:
        """Remove what unfinished uploads of a large object left; return how many there were.

        Raises:
            StorageUnavailable: S3 is unreachable.
        """
        return self._multipart.abort_leftovers(key)

    def delete_below(self, prefix: str) -> int:
        """Delete every object with this key prefix; return how many there were."""
        count = 0
        with translated("delete inputs"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            )
            for page in pages:
                for found in page.get("Contents", []):
                    self._client.delete_object(Bucket=self.bucket, Key=found["Key"])
                    count += 1
        return count


def gone(key: str) -> Permanent:
    """Return the error for an input that no longer exists."""
    return Permanent(FailureCode.STORAGE_FAILED, f"The input {key} is gone")


def _upload(key: str, body: IO[bytes], metadata: Mapping[str, str], **more: Any) -> Upload:
    """Return an upload with checksum and size in its metadata, for later comparison."""
    upload = Upload(key=key, body=body, **more)
    stated = {"sha256": upload.sha256.hex(), "bytes": str(upload.size())}
    return replace(upload, metadata=dict(metadata) | stated)
