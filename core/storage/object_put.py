"""Puts one object with all the checks that S3 offers and the server supports.

S3 can check that the key is free and that the bytes match their checksum. Other servers reject or
ignore one of these headers. A rejected header is no longer sent, and a HEAD replaces its check
(`core/storage/object_store.py`).
"""

import base64
import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from core.errors import StorageUnavailable
from core.log import event
from core.storage.bucket_capabilities import Capabilities, Condition, probe_capabilities
from core.storage.direct_put import DirectPut
from core.storage.multipart_put import MultipartPut
from core.storage.object_bytes import Upload, require_free
from core.storage.object_keys import MANIFEST_ENDING, key_problem
from core.storage.s3_errors import ConditionFailed, Feature, HeaderRefused, Refusal, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_log = logging.getLogger(__name__)
_OK: Final = 200
#: Redirects: the bucket is elsewhere, and boto3 can find it.
_ELSEWHERE: Final = {301, 302, 307, 308}
_WRONG_PLACE: Final = {
    *("AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "Redirect"),
    "IllegalLocationConstraintException",
}


#: Headers of S3's checks -> boto3's parameter names.
_PARAMETERS: Final = {
    "if-none-match": "IfNoneMatch",
    "x-amz-checksum-sha256": "ChecksumSHA256",
    "content-md5": "ContentMD5",
}


class ObjectPut:
    """Puts objects into one bucket, according to its server's capabilities.

    Args:
        bucket: The bucket's name.
        client: boto3's client.
        direct: The fast path, once it has learned from boto3.
        multipart: Puts large objects.
    """

    def __init__(
        self, bucket: str, client: "S3Client", direct: DirectPut, multipart: MultipartPut
    ) -> None:
        self._bucket = bucket
        self._client = client
        self._direct = direct
        self._multipart = multipart
        self.capabilities = Capabilities()

    @property
    def is_trusted(self) -> bool:
        """Whether the server is known, or assumed, to honour the condition."""
        return self.capabilities.condition is Condition.KEPT

    def send(self, action: str, upload: Upload, is_free: Callable[[str], bool] | None) -> bool:
        """Put an object with every check the server supports; drop those it rejects.

        Args:
            action: The purpose, for error messages.
            upload: The object.
            is_free: Checks whether a key is free, for servers that cannot; None to overwrite.

        Returns:
            Whether the response proves that the bytes were stored.

        Raises:
            ConditionFailed: The key is taken.
            ConditionConflict: There are concurrent writes to the key.
            StorageUnavailable: It was not stored, or the outcome is unknown.
        """
        features, known = self._features(once=is_free is not None), frozenset(Feature)
        if self._multipart.is_for(upload):
            self._multipart.send(action, upload, features, is_free)
            return False
        if not self.is_trusted:
            require_free(upload.key, is_free)
        while True:
            try:
                proven = self._send(action, upload, features)
            except HeaderRefused as error:
                refused = error.one_of(features)
                if refused is Feature.CONDITION and self.is_trusted:
                    require_free(upload.key, is_free)
                features, known = features - {refused}, known - {refused}
            else:
                if unknown := frozenset(Feature) - known:
                    self._disable(unknown)
                return proven

    def _features(self, *, once: bool) -> frozenset[Feature]:
        """Return the features to request from the server."""
        wanted = {Feature.CONDITION} if once else set()
        if self.capabilities.condition is Condition.REFUSED:
            wanted.clear()
        if not self.capabilities.checksum_refused:
            wanted.add(Feature.CHECKSUM)
        return frozenset(wanted)

    def _send(self, action: str, upload: Upload, features: frozenset[Feature]) -> bool:
        """Send it in one request, or in two if the bucket has moved."""
        headers = {"content-type": upload.content_type}
        headers |= {f"x-amz-meta-{name}": text for name, text in upload.metadata.items()}
        checks = _checks(upload, features)
        said = self._directly(action, upload, headers | checks)
        if said is None:
            said = self._by_boto3(action, upload, checks)
        stated, ours = said.get(Feature.CHECKSUM.value), checks.get(Feature.CHECKSUM.value)
        if stated and ours and stated != ours:
            raise StorageUnavailable(f"S3 could not {action}: it stored other bytes")
        # A server that checks nothing may just echo the checksum.
        strict = self.capabilities.strict
        if not ours or strict is False:
            return False
        # An unusual key may have been stored as something else.
        is_usual = key_problem(upload.key.removesuffix(MANIFEST_ENDING)) is None
        # S3 tells an ETag of what it stored; a page of a proxy has none.
        return bool(stated or (strict and is_usual and said.get("etag")))

    def _directly(
        self, action: str, upload: Upload, headers: Mapping[str, str]
    ) -> Mapping[str, str] | None:
        """Return the response's headers; None if boto3 must be used."""
        with translated(action):
            answer = self._direct.put(upload.key, upload.body, headers, sha256=upload.sha256)
        if answer is None:
            return None
        if answer.status == _OK:
            return answer.headers
        refusal = Refusal.read(answer.status, answer.body)
        if answer.status in _ELSEWHERE or refusal.code in _WRONG_PLACE:
            return None
        raise refusal.error(action)

    def _by_boto3(
        self, action: str, upload: Upload, checks: Mapping[str, str]
    ) -> Mapping[str, str]:
        upload.body.seek(0)
        more: Any = {_PARAMETERS[name]: text for name, text in checks.items()}
        try:
            with translated(action):
                answer = self._client.put_object(
                    Bucket=self._bucket,
                    Key=upload.key,
                    Body=upload.body,
                    ContentType=upload.content_type,
                    Metadata=dict(upload.metadata),
                    **more,
                )
        except ConditionFailed:
            self._direct.learn(upload.key)  # the location was right, after all
            raise
        self._direct.learn(upload.key)
        said: Any = answer["ResponseMetadata"]["HTTPHeaders"]
        return {str(name).lower(): str(value) for name, value in said.items()}

    def _disable(self, refused: frozenset[Feature]) -> None:
        """Stop requesting features that the server rejects; it accepted a PUT without them."""
        capabilities = self.capabilities
        if Feature.CONDITION in refused:
            capabilities = replace(capabilities, condition=Condition.REFUSED)
        if Feature.CHECKSUM in refused:
            capabilities = replace(capabilities, checksum_refused=True, strict=None)
        self.learn(capabilities)

    def learn(self, capabilities: Capabilities) -> None:
        """Apply capabilities from now on, and log once what the server lacks."""
        before, self.capabilities = self.capabilities, capabilities
        if capabilities.problems and capabilities != before:
            event(_log, "storage.habits", logging.WARNING, reason=capabilities.problems)

    def probe(self) -> Capabilities:
        """Probe the server's capabilities and apply them from now on."""
        self.learn(probe_capabilities(self._send_probe))
        return self.capabilities

    def _send_probe(
        self, key: str, body: bytes, digest: bytes, features: frozenset[Feature]
    ) -> bool:
        upload = Upload(key=key, body=io.BytesIO(body), sha256=digest, content_type="text/plain")
        return self._send("take a probe", upload, features)


def _checks(upload: Upload, features: frozenset[Feature]) -> dict[str, str]:
    """Return the headers of the requested checks."""
    condition = {"if-none-match": "*"} if Feature.CONDITION in features else {}
    if Feature.CHECKSUM in features:
        checksum = base64.b64encode(upload.sha256).decode()
        return {Feature.CHECKSUM.value: checksum, **condition}
    return {"content-md5": base64.b64encode(upload.md5()).decode(), **condition}
