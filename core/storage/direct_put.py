"""PUTs objects as boto3 was seen to, without the time that boto3 takes for each.

Where a bucket is, which region signs for it and how a key stands in a URL is boto3's to know: the
first PUT goes through it and is watched. Later ones are signed by botocore's signer, which is told
the checksum that is known already, and sent over boto3's own connections. Where the bucket turns
out to be elsewhere, boto3 is asked again.
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


class _Place(NamedTuple):
    """Where a bucket's keys begin, and the region that signs for it."""

    base: str
    region: str


class Answer(NamedTuple):
    """What came back."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes


class _Signer(S3SigV4Auth):
    """Signs a request whose body's checksum is known, so that nobody computes it again."""

    def __init__(self, credentials: Any, region: str, checksum: str) -> None:
        super().__init__(credentials, "s3", region)
        self._checksum = checksum

    def payload(self, _request: AWSRequest) -> str:
        """Return the checksum of the body."""
        return self._checksum


class DirectPut:
    """Sends PUTs to one bucket.

    Args:
        session: Whose credentials are used; they may change any time.
        client: Made by it; its connections are used.
    """

    def __init__(self, session: boto3.Session, client: Any) -> None:
        self._session = session
        # Private to botocore, which has no other way to send a request of one's own; a test
        # would see this break.
        self._http = client._endpoint.http_session  # noqa: SLF001 - see above
        self._seen = threading.local()
        self._place: _Place | None = None
        client.meta.events.register("before-send.s3.PutObject", self._watch)

    def put(
        self, key: str, body: IO[bytes], headers: Mapping[str, str], *, sha256: bytes
    ) -> Answer | None:
        """Send an object; return the answer.

        Args:
            key: Its key.
            body: Its bytes.
            headers: What is said of it; names in lower case, values in ASCII.
            sha256: The checksum of `body`.

        Returns:
            None where boto3 has to send it: nothing was sent.

        Raises:
            botocore.exceptions.BotoCoreError: There is no answer.
        """
        place, credentials = self._place, self._session.get_credentials()
        if place is None or credentials is None or not "".join(headers.values()).isascii():
            return None
        keys = credentials.get_frozen_credentials()
        if not keys.access_key or not keys.secret_key:
            return None
        url = place.base + _quoted(key)
        request = AWSRequest("PUT", url, headers=dict(headers))
        _Signer(keys, place.region, sha256.hex()).add_auth(request)
        signed: Any = dict(request.headers.items())
        signed["User-Agent"] = "FluxRelay"
        signed["Content-Length"] = str(body.seek(0, io.SEEK_END))
        body.seek(0)
        # Bytes at hand are sent at once, not block by block.
        content = body.getvalue() if isinstance(body, io.BytesIO) else body
        prepared = AWSPreparedRequest("PUT", url, signed, content, stream_output=False)
        answer = self._http.send(prepared)
        said = {str(name).lower(): str(text) for name, text in answer.headers.items()}
        return Answer(answer.status_code, said, answer.content)

    def learn(self, key: str) -> None:
        """Note how boto3 sent the object that it has just stored, on this thread."""
        url, authorization = getattr(self._seen, "request", ("", ""))
        scope = _SCOPE.match(authorization)
        if scope and url.endswith("/" + _quoted(key)):
            self._place = _Place(url.removesuffix(_quoted(key)), scope[1])

    def _watch(self, request: AWSPreparedRequest, **_more: object) -> None:
        authorization: Any = request.headers.get("Authorization", "")
        text = authorization.decode() if isinstance(authorization, bytes) else authorization
        self._seen.request = (request.url, text)


def _quoted(key: str) -> str:
    return quote(key, safe="/~")
