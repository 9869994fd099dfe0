"""Puts one large object in parts, with the checks that a single PUT has.

S3 compares each part with its checksum, and checks that the key is free when it joins the parts.
Until then nothing is at the key, and the parts are visible to nobody but cost money. They are
removed if the upload fails; if the process dies, by the next upload to the same key.
"""

import base64
import contextlib
import io
import logging
from collections.abc import Callable
from hashlib import md5, sha256
from typing import IO, TYPE_CHECKING, Any, Final

from core.errors import StorageUnavailable
from core.log import event
from core.storage.object_bytes import Upload, require_free
from core.storage.s3_errors import Feature, HeaderRefused, Refused, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_log = logging.getLogger(__name__)
_PIECE: Final = 256 * 1024  # bytes


class MultipartPut:
    """Puts large objects into one bucket.

    Args:
        bucket: The bucket's name.
        client: boto3's client.
        larger_than: Bytes up to which an object is not large.
        part: Bytes of a part; S3 wants 5 MiB at least, and 10,000 parts at most.
    """

    def __init__(self, bucket: str, client: "S3Client", *, larger_than: int, part: int) -> None:
        self._bucket = bucket
        self._client = client
        self._larger_than = larger_than
        self._part = part

    def is_for(self, upload: Upload) -> bool:
        """Return whether an object is large."""
        return upload.size() > self._larger_than

    def send(
        self,
        action: str,
        upload: Upload,
        features: frozenset[Feature],
        is_free: Callable[[str], bool] | None,
    ) -> None:
        """Put an object; the caller must verify that it is stored.

        Args:
            action: The purpose, for error messages.
            upload: The object.
            features: What to request from the server; what it rejects is left out.
            is_free: Checks whether the key is free; None to overwrite.

        Raises:
            ConditionFailed: The key is taken.
            ConditionConflict: There are concurrent writes to the key.
            StorageUnavailable: It was not stored, or the outcome is unknown.
        """
        require_free(upload.key, is_free)
        self.abort_leftovers(upload.key)
        upload_id, checked = self._begin(action, upload, Feature.CHECKSUM in features)
        try:
            parts = self._send_parts(action, upload, upload_id, checked=checked)
            condition = Feature.CONDITION in features
            require_free(upload.key, is_free)  # some servers ignore the condition here
            try:
                self._join(action, upload, upload_id, parts, condition=condition)
            except HeaderRefused as error:
                if not condition or error.one_of(features) is not Feature.CONDITION:
                    raise
                require_free(upload.key, is_free)
                self._join(action, upload, upload_id, parts, condition=False)
        except BaseException:
            with contextlib.suppress(StorageUnavailable):  # the next upload tries again
                self._abort(upload.key, upload_id)
            raise

    def abort_leftovers(self, key: str) -> int:
        """Remove the parts of unfinished uploads to a key; return how many uploads there were.

        A server that does not list them keeps them until a lifecycle rule removes them.

        Raises:
            StorageUnavailable: S3 is unreachable.
        """
        found: list[str] = []
        try:
            with translated("list unfinished uploads"):
                pages = self._client.get_paginator("list_multipart_uploads").paginate(
                    Bucket=self._bucket, Prefix=key
                )
                for page in pages:
                    uploads = page.get("Uploads", [])
                    found += [each["UploadId"] for each in uploads if each["Key"] == key]
            for upload_id in found:
                self._abort(key, upload_id)
        except Refused as error:
            event(_log, "storage.leftovers", logging.WARNING, reason=str(error))
        return len(found)

    def _abort(self, key: str, upload_id: str) -> None:
        with translated("remove an unfinished upload"):
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    def _begin(self, action: str, upload: Upload, checked: bool) -> tuple[str, bool]:
        """Return the new upload's id, and whether its parts are sent with checksums."""
        more: Any = {"ChecksumAlgorithm": "SHA256"} if checked else {}
        try:
            with translated(action):
                answer = self._client.create_multipart_upload(
                    Bucket=self._bucket,
                    Key=upload.key,
                    ContentType=upload.content_type,
                    Metadata=dict(upload.metadata),
                    **more,
                )
        except HeaderRefused as error:
            if not checked or Feature.CHECKSUM not in error.features:
                raise
            return self._begin(action, upload, checked=False)
        return answer["UploadId"], checked

    def _send_parts(
        self, action: str, upload: Upload, upload_id: str, *, checked: bool
    ) -> list[dict[str, Any]]:
        """Send all parts; return what joins them."""
        parts: list[dict[str, Any]] = []
        size, whole = upload.size(), sha256()
        for number, start in enumerate(range(0, size, self._part), 1):
            part: Any = _Part(upload.body, start, min(self._part, size - start))
            check = _checksum(part, whole, checked=checked)
            with translated(action):
                answer = self._client.upload_part(
                    Bucket=self._bucket,
                    Key=upload.key,
                    UploadId=upload_id,
                    PartNumber=number,
                    Body=part,
                    **check,
                )
            known = {"ETag": answer["ETag"], "PartNumber": number}
            parts.append(known | (check if checked else {}))
            if upload.alive:
                upload.alive()
        if whole.digest() != upload.sha256:  # S3 knows the parts' checksums alone
            raise StorageUnavailable(f"could not {action}: its bytes have changed")
        return parts

    def _join(
        self,
        action: str,
        upload: Upload,
        upload_id: str,
        parts: list[dict[str, Any]],
        *,
        condition: bool,
    ) -> None:
        more: Any = {"IfNoneMatch": "*"} if condition else {}
        joined: Any = {"Parts": parts}
        with translated(action):
            self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=upload.key,
                UploadId=upload_id,
                MultipartUpload=joined,
                **more,
            )


def _checksum(part: "_Part", whole: Any, *, checked: bool) -> Any:
    """Return the argument with which S3 checks a part; add the part to the checksum of all."""
    digest = sha256() if checked else md5(usedforsecurity=False)
    while piece := part.read(_PIECE):
        digest.update(piece)
        whole.update(piece)
    part.seek(0)
    text = base64.b64encode(digest.digest()).decode()
    return {"ChecksumSHA256" if checked else "ContentMD5": text}


class _Part:
    """A piece of a file, which is read like a file of its own and never held in memory."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._file = file
        self._start = start
        self._size = size
        self._at = 0

    def read(self, size: int | None = None) -> bytes:
        """Return up to `size` bytes; all that are left without a size."""
        left = self._size - self._at
        self._file.seek(self._start + self._at)
        data = self._file.read(left if size is None or size < 0 else min(size, left))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place in the part."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Return the place in the part."""
        return self._at
