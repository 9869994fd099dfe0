"""The small S3 in memory with uploads in parts, which checks what S3 checks of them."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit
from xml.etree.ElementTree import fromstring
from xml.sax.saxutils import escape

from tests.fake_s3 import FakeS3, Refusal, Stored, _Answer, _Handler

_SMALLEST: Final = 5 * 1024 * 1024  # bytes of a part that is not the last one


@dataclass
class Unfinished:
    """An upload whose parts are not joined yet."""

    key: str
    headers: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Multipart:
    """What the server does otherwise than S3 with uploads in parts; as it is made, nothing."""

    #: It refuses requests to begin an upload whose parts have checksums.
    lacks_checksums: bool = False
    #: It answers 501 to `If-None-Match` when parts are joined.
    lacks_condition: bool = False
    #: It joins parts over an object in spite of `If-None-Match`.
    ignores_condition: bool = False
    #: It may not, or cannot, list unfinished uploads.
    hides_uploads: Refusal | None = None
    #: What the next part of this number is refused with.
    refuses_part: dict[int, Refusal] = field(default_factory=dict)
    #: So many requests to join are carried out and not answered.
    loses_answers: int = 0
    #: Called with the number of each part that arrived.
    on_part: Callable[[int], object] = lambda _: None
    #: Called when parts are to be joined.
    on_join: Callable[[], object] = lambda: None


class MultipartS3(FakeS3):
    """A small S3 that takes uploads in parts.

    Attributes:
        unfinished: Id -> upload that is not finished.
        multipart: What it does otherwise than S3.
    """

    def __init__(self) -> None:
        self.unfinished: dict[str, Unfinished] = {}
        self.multipart = Multipart()
        self.begun = 0
        super().__init__()

    def _handler(self) -> type[_Handler]:
        return _MultipartHandler

    def count(self, method: str) -> int:
        """Return how many requests of a method there were."""
        return [each for each, _ in self.requests].count(method)


class _MultipartHandler(_Handler):
    _is_mute = False
    do_POST = _Handler._any  # noqa: N815, SLF001 - the base class's names

    @property
    def _state(self) -> MultipartS3:
        state = self.stand_in
        if not isinstance(state, MultipartS3):
            raise TypeError("made by MultipartS3 alone")
        return state

    @property
    def _asked(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
        if not self._is_mute:
            super()._say(status, headers, body)

    def _post(self, key: str, body: bytes, _query: dict[str, str]) -> _Answer:
        if "uploads" not in self._asked:
            return self._join(key, body)
        state = self._state
        if state.multipart.lacks_checksums and "x-amz-checksum-algorithm" in self.headers:
            message = "Unsupported header 'x-amz-checksum-algorithm' received for this API call."
            raise Refusal(400, "InvalidArgument", message)
        state.begun += 1
        name = f"upload-{state.begun}"
        state.unfinished[name] = Unfinished(key, self._described())
        return 200, {}, f"<R><UploadId>{name}</UploadId></R>".encode()

    def _put(self, key: str, body: bytes, query: dict[str, str]) -> _Answer:
        if "partNumber" not in query:
            return super()._put(key, body, query)
        number = int(query["partNumber"])
        if refusal := self._state.multipart.refuses_part.pop(number, None):
            raise refusal
        upload = self._upload(query)
        self._check_bytes(body)
        upload.parts[number] = body
        self._state.multipart.on_part(number)
        return 200, {"etag": _etag(body)}, b""

    def _join(self, key: str, body: bytes) -> _Answer:
        state, habits = self._state, self._state.multipart
        upload = self._upload(self._asked)
        habits.on_join()
        if "if-none-match" in self.headers:
            if habits.lacks_condition:
                message = "A header you provided implies functionality that is not implemented"
                raise Refusal(501, "NotImplemented", message)
            if key in state.objects and not habits.ignores_condition:
                raise Refusal(412, "PreconditionFailed", "A pre-condition did not hold")
        named = [
            {element.tag.rpartition("}")[2]: element.text or "" for element in part}
            for part in fromstring(body)  # noqa: S314 - made by the AWS SDK
        ]
        parts = [upload.parts[int(part["PartNumber"])] for part in named]
        for part, data in zip(named, parts, strict=True):
            digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
            if part["ETag"] != _etag(data) or part.get("ChecksumSHA256", digest) != digest:
                raise Refusal(400, "InvalidPart", "A part is not what was named")
        if any(len(data) < _SMALLEST for data in parts[:-1]):
            raise Refusal(400, "EntityTooSmall", "A part is too small")
        state.objects[key] = Stored(b"".join(parts), upload.headers)
        del state.unfinished[self._asked["uploadId"]]
        if habits.loses_answers:
            habits.loses_answers -= 1
            self.close_connection = self._is_mute = True
        return 200, {}, f"<R><Key>{escape(key)}</Key><ETag>&quot;x-2&quot;</ETag></R>".encode()

    def _get(self, key: str, body: bytes, query: dict[str, str]) -> _Answer:
        if "uploads" not in self._asked:
            return super()._get(key, body, query)
        if self._state.multipart.hides_uploads:
            raise self._state.multipart.hides_uploads
        found = "".join(
            f"<Upload><Key>{escape(upload.key)}</Key><UploadId>{name}</UploadId></Upload>"
            for name, upload in self._state.unfinished.items()
            if upload.key.startswith(query.get("prefix", ""))
        )
        return 200, {}, f"<R><IsTruncated>false</IsTruncated>{found}</R>".encode()

    def _delete(self, key: str, body: bytes, query: dict[str, str]) -> _Answer:
        if "uploadId" not in query:
            return super()._delete(key, body, query)
        self._upload(query)
        del self._state.unfinished[query["uploadId"]]
        return 204, {}, b""

    def _upload(self, query: dict[str, str]) -> Unfinished:
        if query["uploadId"] not in self._state.unfinished:
            raise Refusal(404, "NoSuchUpload", "The specified upload does not exist.")
        return self._state.unfinished[query["uploadId"]]


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
