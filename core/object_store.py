"""S3: the one client, for inputs at intake and images in workers; only this knows boto3."""

import base64
import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.aws_session import aws_session
from core.direct_put import DirectPut
from core.errors import Permanent, StorageUnavailable
from core.job import FailureCode

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

#: Inputs lie below this prefix until their job ends.
INPUT_PREFIX: Final = "_inputs/"
_CONNECT_TIMEOUT: Final = 5.0  # seconds
_CHUNK: Final = 192 * 1024  # bytes
_CONDITION_FAILED: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_NOT_FOUND: Final = {"NoSuchKey", "404", "NotFound"}
_OK, _SERVER_ERROR = 200, 500
#: The request itself is refused, whenever it comes; as a rule for its key (S3 error responses, and
#: what MinIO and SeaweedFS answer to keys that their file systems cannot hold).
_REFUSED: Final = {
    *("KeyTooLongError", "InvalidURI", "InvalidRequest", "InvalidArgument", "EntityTooLarge"),
    *("XMinioInvalidObjectName", "XMinioParentIsObject", "XMinioObjectExistsAsDirectory"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object as it lies in the bucket."""

    size: int  # bytes
    sha256: str  # hex; as S3 or, on servers that keep none, our own metadata states it
    metadata: Mapping[str, str]


class RequestRefused(StorageUnavailable):
    """S3 refuses the request as it is, most likely for its key: nobody else's would fare so."""


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

    def put_once(
        self,
        key: str,
        body: IO[bytes],
        *,
        sha256: bytes,
        content_type: str,
        metadata: Mapping[str, str],
    ) -> bool:
        """Store an object unless its key is taken; S3 verifies the checksum.

        Returns:
            False where the key is taken.

        Raises:
            RequestRefused: S3 will never take it, unless its settings change.
            StorageUnavailable: It may go well later.
        """
        try:
            self._put(
                "store the image",
                key,
                body,
                sha256=sha256,
                content_type=content_type,
                metadata=dict(metadata) | {"sha256": sha256.hex()},
                once=True,
            )
        except _ConditionFailed:
            return False
        return True

    def put(self, key: str, body: IO[bytes], *, sha256: bytes, content_type: str) -> None:
        """Store an object, over whatever is there; S3 verifies the checksum.

        Raises:
            StorageUnavailable: It may go well later.
        """
        self._put("store an input", key, body, sha256=sha256, content_type=content_type)

    def _put(
        self,
        action: str,
        key: str,
        body: IO[bytes],
        *,
        sha256: bytes,
        content_type: str,
        metadata: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> None:
        checksum = base64.b64encode(sha256).decode()
        headers = {"content-type": content_type, "x-amz-checksum-sha256": checksum}
        headers |= {f"x-amz-meta-{name}": text for name, text in (metadata or {}).items()}
        headers |= {"if-none-match": "*"} if once else {}
        with _translated(action):
            answer = self._direct.put(key, body, headers, sha256=sha256)
            if answer and _is_final(*answer, action):
                return
            body.seek(0)
            condition: Any = {"IfNoneMatch": "*"} if once else {}
            self._client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                ChecksumSHA256=checksum,
                Metadata=dict(metadata or {}),
                **condition,
            )
            self._direct.learn(key)

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
            with _translated("copy an input"):
                self._client.copy_object(
                    Bucket=self.bucket,
                    Key=target,
                    CopySource={"Bucket": self.bucket, "Key": source},
                )
        except KeyError:  # it went since
            return False
        return True

    def look(self, key: str) -> StoredObject | None:
        """Return what is known of an object without its bytes, None where there is none."""
        try:
            with _translated("look at an object"):
                head = self._client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        except KeyError:
            return None
        stated = head.get("ChecksumSHA256")
        checksum = base64.b64decode(stated).hex() if stated and "-" not in stated else ""
        return StoredObject(
            size=head["ContentLength"],
            sha256=checksum or head["Metadata"].get("sha256", ""),
            metadata=head["Metadata"],
        )

    def chunks(self, key: str, size: int = _CHUNK) -> Iterator[bytes]:
        """Yield an object's bytes, `size` at a time; nothing is asked for before the first.

        Raises:
            Permanent: There is no such object.
            StorageUnavailable: It may go well later.
        """
        try:
            with _translated("read an input"):
                body = self._client.get_object(Bucket=self.bucket, Key=key)["Body"]
                with contextlib.closing(body):
                    while chunk := body.read(size):
                        yield chunk
        except KeyError:
            raise gone(key) from None

    def open(self, key: str, first: int, last: int) -> "ObjectReader":
        """Begin to read the bytes `first` to `last` of an object; close what is returned.

        Raises:
            KeyError: There is no such object.
            StorageUnavailable: It may go well later.
        """
        with _translated("read an image"):
            answer = self._client.get_object(
                Bucket=self.bucket, Key=key, Range=f"bytes={first}-{last}"
            )
        return ObjectReader(answer["Body"])

    def delete_below(self, prefix: str) -> int:
        """Delete every object whose key begins with `prefix`; return how many there were."""
        count = 0
        with _translated("delete inputs"):
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
        with _translated("read on"):
            return self._body.read(size)

    def close(self) -> None:
        """Give the connection back."""
        self._body.close()


def gone(key: str) -> Permanent:
    """Return the error of an input that is not there any more."""
    return Permanent(FailureCode.STORAGE_FAILED, f"The input {key} is gone")


def credentials_problem() -> str | None:
    """Say whether the AWS SDK finds no credentials, wherever it looks; None where it does."""
    if aws_session().get_credentials():
        return None
    return "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: not set, and the AWS SDK finds none elsewhere"


class _ConditionFailed(StorageUnavailable):
    """The key is taken."""


def _is_final(status: int, answer: bytes, action: str) -> bool:
    """Say whether an object is stored; False where boto3 may know better, as with a redirect."""
    found = re.search(rb"<Code>(\w{1,60})</Code>", answer)
    code = found[1].decode() if found else str(status)
    if code in _CONDITION_FAILED:
        raise _ConditionFailed(f"S3 would not {action}: {code}")
    if status >= _SERVER_ERROR and code not in _REFUSED:
        raise StorageUnavailable(f"S3 would not {action}: {code}")
    return status == _OK


@contextlib.contextmanager
def _translated(action: str) -> Iterator[None]:
    """Turn the SDK's errors into ours; a missing key becomes a `KeyError`."""
    try:
        yield
    except ClientError as error:
        details: Any = error.response.get("Error", {})
        code = str(details.get("Code", ""))
        if code in _CONDITION_FAILED:
            raise _ConditionFailed(f"S3 would not {action}: {code}") from error
        if code in _NOT_FOUND and "bucket" not in action:
            raise KeyError from error
        kind = RequestRefused if code in _REFUSED else StorageUnavailable
        raise kind(f"S3 would not {action}: {code}") from error
    except (BotoCoreError, OSError) as error:
        raise StorageUnavailable(f"S3 could not {action}: {type(error).__name__}") from error
