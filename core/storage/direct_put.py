"""Sends PUTs like boto3, at a fraction of its CPU time.

boto3 knows the bucket's location, the signing region and the URL encoding of keys, so the first PUT
goes through boto3 and is observed. Later ones are signed by botocore's signer, which is given the
known checksum, and sent over boto3's connections. If the bucket moves, boto3 is used again.
"""

import io
import re
import threading
from collections.abc import Mapping
from typing import IO, Any, Final, NamedTuple
from urllib.parse import quote

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest

_SCOPE: Final = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request,")

_PIECE: Final = 256 * 1024  # bytes


class _Location(NamedTuple):
    """URL prefix of a bucket's keys, and the region that signs for it."""

    base: str
    region: str


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    #: Names are lower-case.
    headers: Mapping[str, str]
    body: bytes


class _Signer(S3SigV4Auth):
    """Signs a request whose checksum is known, so that it is not computed again."""

    def __init__(self, credentials: Any, region: str, checksum: str) -> None:
        super().__init__(credentials, "s3", region)
        self._checksum = checksum

    def payload(self, _request: AWSRequest) -> str:
        """Return the checksum of the body."""
        return self._checksum


class DirectPut:
    """Sends PUTs to one bucket.

    Args:
        session: Provides the credentials, which may change at any time.
        client: Created from the session; its connections are used.
    """

    def __init__(self, session: boto3.Session, client: Any) -> None:
        self._session = session
        # Private to botocore, which offers no public way to send a prepared request; a test would
        # see this break.
        self._http = client._endpoint.http_session  # noqa: SLF001 - see above
        self._seen = threading.local()
        self._location: _Location | None = None
        client.meta.events.register("before-send.s3.PutObject", self._observe)

    def put(
        self, key: str, body: IO[bytes], headers: Mapping[str, str], *, sha256: bytes
    ) -> Answer | None:
        """Send an object; return the response.

        Args:
            key: The object key.
            body: The bytes.
            headers: Request headers; lower-case names, ASCII values.
            sha256: The checksum of `body`.

        Returns:
            None if boto3 has to send it: nothing was sent.

        Raises:
            botocore.exceptions.BotoCoreError: There is no response.
        """
        location, credentials = self._location, self._session.get_credentials()
        if location is None or credentials is None or not "".join(headers.values()).isascii():
            return None
        keys = credentials.get_frozen_credentials()
        if not keys.access_key or not keys.secret_key:
            return None
        url = location.base + _quoted(key)
        request = AWSRequest("PUT", url, headers=dict(headers))
        _Signer(keys, location.region, sha256.hex()).add_auth(request)
        signed: Any = dict(request.headers.items())
        signed["User-Agent"] = "FluxRelay"
        signed["Content-Length"] = str(body.seek(0, io.SEEK_END))
        body.seek(0)
        content: Any = _pieces(body.getvalue()) if isinstance(body, io.BytesIO) else body
        prepared = AWSPreparedRequest("PUT", url, signed, content, stream_output=False)
        answer = self._http.send(prepared)
        said = {str(name).lower(): str(text) for name, text in answer.headers.items()}
        return Answer(answer.status_code, said, answer.content)

    def learn(self, key: str) -> None:
        """Learn from how boto3 sent the object that this thread has just stored."""
        url, authorization = getattr(self._seen, "request", ("", ""))
        scope = _SCOPE.match(authorization)
        if scope and url.endswith("/" + _quoted(key)):
            self._location = _Location(url.removesuffix(_quoted(key)), scope[1])

    def _observe(self, request: AWSPreparedRequest, **_more: object) -> None:
        authorization: Any = request.headers.get("Authorization", "")
        text = authorization.decode() if isinstance(authorization, bytes) else authorization
        self._seen.request = (request.url, text)


def _pieces(data: bytes) -> list[memoryview]:
    """Cut in-memory bytes into few pieces: the socket's time limit is one for each piece."""
    view = memoryview(data)
    return [view[at : at + _PIECE] for at in range(0, len(data), _PIECE)]


def _quoted(key: str) -> str:
    return quote(key, safe="/~")
