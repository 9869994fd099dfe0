"""One PUT of one object: with all that S3 checks for us, and without what a server cannot do.

AWS S3 checks that the key is free and that the bytes are those we mean. Other servers refuse the
one or the other header, or take no notice of it. What is refused is left out from then on, and
what is left out is looked after by a HEAD (`core/storage/object_store.py`).
"""

import base64
import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import md5
from typing import IO, TYPE_CHECKING, Any, Final

from core.errors import StorageUnavailable
from core.log import event
from core.storage.bucket_capabilities import Condition, Habits, find_habits
from core.storage.direct_put import DirectPut
from core.storage.object_keys import MANIFEST_ENDING, key_problem
from core.storage.s3_errors import ConditionFailed, Feature, HeaderRefused, Refusal, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_log = logging.getLogger(__name__)
_OK: Final = 200
#: Answers after which boto3 may know better: the bucket is elsewhere.
_ELSEWHERE: Final = {301, 302, 307, 308}
_WRONG_PLACE: Final = {
    *("AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "Redirect"),
    "IllegalLocationConstraintException",
}


#: Headers with which S3 checks something -> what boto3 calls them.
_PARAMETERS: Final = {
    "if-none-match": "IfNoneMatch",
    "x-amz-checksum-sha256": "ChecksumSHA256",
    "content-md5": "ContentMD5",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What is to be stored."""

    key: str
    body: IO[bytes]
    sha256: bytes
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def md5(self) -> bytes:
        """Return the MD5 of the bytes; other than the SHA-256 it is known only when needed."""
        digest = md5(usedforsecurity=False)
        self.body.seek(0)
        while piece := self.body.read(1024 * 1024):
            digest.update(piece)
        return digest.digest()

    def size(self) -> int:
        """Return the number of bytes."""
        return self.body.seek(0, io.SEEK_END)


class ObjectPut:
    """Puts objects into one bucket, and knows what its server does.

    Args:
        bucket: Its name.
        client: boto3's.
        direct: The short way, once boto3 has shown it.
    """

    def __init__(self, bucket: str, client: "S3Client", direct: DirectPut) -> None:
        self._bucket = bucket
        self._client = client
        self._direct = direct
        self.habits = Habits()

    @property
    def is_trusted(self) -> bool:
        """Whether the server is known, or taken, to keep the condition."""
        return self.habits.condition is Condition.KEPT

    def send(self, action: str, upload: Upload, is_free: Callable[[str], bool] | None) -> bool:
        """Put it with all that the server knows, leaving out what it refuses.

        Args:
            action: What it is done for, in words.
            upload: What is stored.
            is_free: Says whether a key is free, for a server that cannot; None to overwrite.

        Returns:
            Whether the answer proves that the bytes were stored.

        Raises:
            ConditionFailed: The key is taken.
            ConditionConflict: Others write to it.
            StorageUnavailable: It was not stored, or nobody knows.
        """
        features, known = self._features(once=is_free is not None), frozenset(Feature)
        if not self.is_trusted:
            _look(upload.key, is_free)
        while True:
            try:
                proven = self._send(action, upload, features)
            except HeaderRefused as error:
                refused = error.one_of(features)
                if refused is Feature.CONDITION and self.is_trusted:
                    _look(upload.key, is_free)
                features, known = features - {refused}, known - {refused}
            else:
                if unknown := frozenset(Feature) - known:
                    self._leave_out(unknown)
                return proven

    def _features(self, *, once: bool) -> frozenset[Feature]:
        """Return what may be asked of the server."""
        wanted = {Feature.CONDITION} if once else set()
        if self.habits.condition is Condition.REFUSED:
            wanted.clear()
        if not self.habits.checksum_refused:
            wanted.add(Feature.CHECKSUM)
        return frozenset(wanted)

    def _send(self, action: str, upload: Upload, features: frozenset[Feature]) -> bool:
        """Send it in one request, or two where the bucket is not where it was."""
        headers = {"content-type": upload.content_type}
        headers |= {f"x-amz-meta-{name}": text for name, text in upload.metadata.items()}
        checks = _checks(upload, features)
        said = self._directly(action, upload, headers | checks)
        if said is None:
            said = self._by_boto3(action, upload, checks)
        stated, ours = said.get(Feature.CHECKSUM.value), checks.get(Feature.CHECKSUM.value)
        if stated and ours and stated != ours:
            raise StorageUnavailable(f"S3 could not {action}: it stored other bytes")
        # Where a server checks nothing, it may repeat what it was told.
        strict = self.habits.strict
        if not ours or strict is False:
            return False
        # What it makes of an odd key may be something else than the object.
        is_usual = key_problem(upload.key.removesuffix(MANIFEST_ENDING)) is None
        return bool(stated or (strict and is_usual))

    def _directly(
        self, action: str, upload: Upload, headers: Mapping[str, str]
    ) -> Mapping[str, str] | None:
        """Return the answer's headers, None where boto3 has to be asked."""
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
            self._direct.learn(upload.key)  # this was the place, after all
            raise
        self._direct.learn(upload.key)
        said: Any = answer["ResponseMetadata"]["HTTPHeaders"]
        return {str(name).lower(): str(value) for name, value in said.items()}

    def _leave_out(self, refused: frozenset[Feature]) -> None:
        """Ask no more for what the server refuses; it took a PUT without it."""
        habits = self.habits
        if Feature.CONDITION in refused:
            habits = replace(habits, condition=Condition.REFUSED)
        if Feature.CHECKSUM in refused:
            habits = replace(habits, checksum_refused=True, strict=None)
        self.learn(habits)

    def learn(self, habits: Habits) -> None:
        """Act on what a server does from now on, and say once what it does not do."""
        before, self.habits = self.habits, habits
        if habits.problems and habits != before:
            event(_log, "storage.habits", logging.WARNING, reason=habits.problems)

    def find_out(self) -> Habits:
        """Try what the server does, by probes, and act on it from now on."""
        self.learn(find_habits(self._send_probe))
        return self.habits

    def _send_probe(
        self, key: str, body: bytes, digest: bytes, features: frozenset[Feature]
    ) -> bool:
        upload = Upload(key=key, body=io.BytesIO(body), sha256=digest, content_type="text/plain")
        return self._send("take a probe", upload, features)


def _look(key: str, is_free: Callable[[str], bool] | None) -> None:
    if is_free is not None and not is_free(key):
        raise ConditionFailed(f"The key {key} is taken", 0)


def _checks(upload: Upload, features: frozenset[Feature]) -> dict[str, str]:
    """Return the headers with which S3 checks something."""
    condition = {"if-none-match": "*"} if Feature.CONDITION in features else {}
    if Feature.CHECKSUM in features:
        checksum = base64.b64encode(upload.sha256).decode()
        return {Feature.CHECKSUM.value: checksum, **condition}
    return {"content-md5": base64.b64encode(upload.md5()).decode(), **condition}
