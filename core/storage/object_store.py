"""S3: the one client, for inputs at intake and images in workers; only this knows boto3."""

import base64
import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Final

from botocore.config import Config

from core.errors import Permanent, StorageUnavailable
from core.jobs.failures import FailureCode
from core.storage.aws_session import aws_session
from core.storage.bucket_capabilities import Habits
from core.storage.direct_put import DirectPut
from core.storage.object_put import ObjectPut, Upload
from core.storage.s3_errors import (
    ConditionConflict,
    ConditionFailed,
    NotThere,
    translated,
)

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

_CONNECT_TIMEOUT: Final = 5.0  # seconds
_CHUNK: Final = 192 * 1024  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object as it lies in the bucket."""

    size: int  # bytes
    sha256: str  # hex; as S3 or, on servers that keep none, our own metadata states it
    #: Names in lower case, whatever a server or a proxy makes of them.
    metadata: Mapping[str, str]
    #: As the server tells it; some forget what they were told.
    content_type: str = ""

    @property
    def whole(self) -> bool:
        """Whether size and checksum are those of what was sent, as far as both are known."""
        sent = self.metadata.get("bytes", str(self.size)), self.metadata.get("sha256", self.sha256)
        return sent == (str(self.size), self.sha256)


class ObjectStore:
    """One bucket.

    Args:
        bucket: Its name; it must exist.
        timeout: Seconds of silence after which S3 counts as away.
        connections: How many requests may run at a time.
    """

    def __init__(self, bucket: str, *, timeout: float = 15.0, connections: int = 16) -> None:
        self.bucket = bucket
        config = Config(
            connect_timeout=min(_CONNECT_TIMEOUT, timeout),
            read_timeout=timeout,
            # Our steps retry with a clock and jitter of their own.
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=connections,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        session = aws_session()
        self._client: S3Client = session.client("s3", config=config)
        self._direct = DirectPut(session, self._client)
        self._put = ObjectPut(bucket, self._client, self._direct)
        self._wary = False
        self._asking = threading.Lock()

    def be_wary(self) -> None:
        """Trust the server with no image before it was seen what it does with probes."""
        self._wary = True

    def find_habits(self) -> Habits:
        """Try what the server does with a PUT, by probes, and act on it from now on."""
        with self._asking:
            habits = self._put.find_out()
            self._wary = False  # not before: images wait for what is found
            return habits

    def put_once(
        self,
        key: str,
        body: IO[bytes],
        *,
        sha256: bytes,
        content_type: str,
        metadata: Mapping[str, str],
    ) -> bool:
        """Store an object unless its key is taken, and see that it is there as a whole.

        A server that does not keep the condition leaves a gap: who puts between our two looks may
        write over the object, or have it written over.

        Returns:
            False where the key is taken.

        Raises:
            RequestRefused: S3 will never take the key.
            StorageUnavailable: It may go well later.
        """
        upload = _upload(key, body, sha256, content_type, metadata)
        self._settle()
        try:
            self._store("store the image", upload, once=True)
        except ConditionFailed:
            return False
        except ConditionConflict:  # somebody may have won, or nobody
            if self.look(key) is None:
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
    ) -> None:
        """Store an object over what is there, and see that it is there as a whole.

        Raises:
            StorageUnavailable: It may go well later.
        """
        upload = _upload(key, body, sha256, content_type, metadata)
        self._store("store the image again", upload, once=False)

    def put(self, key: str, body: IO[bytes], *, sha256: bytes, content_type: str) -> None:
        """Store an object, over whatever is there; S3 verifies the checksum.

        Raises:
            StorageUnavailable: It may go well later.
        """
        upload = Upload(key=key, body=body, sha256=sha256, content_type=content_type)
        self._store("store an input", upload, once=False)

    def _settle(self) -> None:
        """Have the server tried, if nobody has yet; others wait for that."""
        if self._wary:
            with self._asking:
                if self._wary:
                    self._put.find_out()
                    self._wary = False

    def _store(self, action: str, upload: Upload, *, once: bool) -> None:
        """Put it, and look whether it is there where the answer does not prove it.

        Raises:
            ConditionFailed: The key is taken by somebody else.
        """
        is_free = (lambda key: self.look(key) is None) if once else None
        proven = self._put.send(action, upload, is_free)
        if proven and (self._put.is_trusted or not once):
            return
        there = self.look(upload.key)
        if there is None:
            raise StorageUnavailable(f"S3 said it stored {upload.key}, but there is no such object")
        writer = upload.metadata.get("job-id")
        if there.metadata.get("job-id", writer) != writer:
            raise ConditionFailed(f"S3 let others write over {upload.key}", 0)
        digest = upload.sha256.hex()
        if (there.size, there.sha256 or digest) != (upload.size(), digest) or not there.whole:
            message = f"S3 stored {there.size} bytes at {upload.key}, which are not those sent"
            raise StorageUnavailable(message)

    def copy(self, source: str, target: str) -> bool:
        """Copy an object within the bucket; its bytes do not come here.

        Returns:
            False where there is nothing to copy.

        Raises:
            StorageUnavailable: It may go well later.
        """
        if self.look(source) is None:  # servers name a missing source in ways of their own
            return False
        try:
            with translated("copy an input"):
                self._client.copy_object(
                    Bucket=self.bucket,
                    Key=target,
                    CopySource={"Bucket": self.bucket, "Key": source},
                )
        except NotThere:  # it went since
            return False
        return True

    def look(self, key: str) -> StoredObject | None:
        """Return what is known of an object without its bytes, None where there is none."""
        try:
            with translated("look at an object"):
                head = self._client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        except NotThere:
            return None
        stated = head.get("ChecksumSHA256")
        checksum = base64.b64decode(stated).hex() if stated and "-" not in stated else ""
        metadata = {name.lower(): text for name, text in head["Metadata"].items()}
        return StoredObject(
            size=head["ContentLength"],
            sha256=checksum or metadata.get("sha256", ""),
            metadata=metadata,
            content_type=head.get("ContentType", ""),
        )

    def chunks(self, key: str, size: int = _CHUNK) -> Iterator[bytes]:
        """Yield an object's bytes, `size` at a time; nothing is asked for before the first.

        Raises:
            Permanent: There is no such object.
            StorageUnavailable: It may go well later.
        """
        try:
            with translated("read an input"):
                body = self._client.get_object(Bucket=self.bucket, Key=key)["Body"]
                with contextlib.closing(body):
                    while chunk := body.read(size):
                        yield chunk
        except NotThere:
            raise gone(key) from None

    def open(self, key: str, first: int, last: int) -> "ObjectReader":
        """Begin to read the bytes `first` to `last` of an object; close what is returned.

        Raises:
            KeyError: There is no such object.
            Archived: It is in an archive storage class.
            StorageUnavailable: It may go well later.
        """
        try:
            with translated("read an image"):
                answer = self._client.get_object(
                    Bucket=self.bucket, Key=key, Range=f"bytes={first}-{last}"
                )
        except NotThere:
            raise KeyError(key) from None
        return ObjectReader(answer["Body"])

    def delete_below(self, prefix: str) -> int:
        """Delete every object whose key begins with `prefix`; return how many there were."""
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


class ObjectReader:
    """The bytes of an object as they come from S3; they are never held as a whole."""

    def __init__(self, body: "StreamingBody") -> None:
        self._body = body

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end.

        Raises:
            StorageUnavailable: S3 broke off.
        """
        with translated("read on"):
            return self._body.read(size)

    def close(self) -> None:
        """Give the connection back."""
        self._body.close()


def gone(key: str) -> Permanent:
    """Return the error of an input that is not there any more."""
    return Permanent(FailureCode.STORAGE_FAILED, f"The input {key} is gone")


def _upload(
    key: str, body: IO[bytes], sha256: bytes, content_type: str, metadata: Mapping[str, str]
) -> Upload:
    """Return what is to be stored; what it is stands in its metadata, to be compared later."""
    upload = Upload(key=key, body=body, sha256=sha256, content_type=content_type)
    stated = {"sha256": sha256.hex(), "bytes": str(upload.size())}
    return replace(upload, metadata=dict(metadata) | stated)
