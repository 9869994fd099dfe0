"""A small S3 in memory that checks what S3 checks, and takes on the habits of other servers."""

import base64
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.s3_signature import ACCESS_KEY, SECRET_KEY, Signed

#: Status, headers, body.
_Answer = tuple[int, dict[str, str], bytes]


class Refusal(Exception):
    """An answer that says no.

    Args:
        status: The HTTP status.
        code: What S3 calls it.
        message: In words.
        **more: Further elements of the answer.
    """

    def __init__(self, status: int, code: str, message: str = "", **more: str) -> None:
        super().__init__(code)
        self.status = status
        parts = {"Code": code, "Message": message, **more}
        text = "".join(f"<{name}>{escape(part)}</{name}>" for name, part in parts.items())
        self.body = f'<?xml version="1.0" encoding="UTF-8"?><Error>{text}</Error>'.encode()


@dataclass
class Capabilities:
    """What the server does otherwise than S3; as it is made, nothing."""

    #: Headers that it refuses, as B2 does.
    refuses: frozenset[str] = frozenset()
    #: It overwrites in spite of `If-None-Match`.
    ignores_condition: bool = False
    #: It answers 501 to `If-None-Match`, and does not say to what.
    lacks_condition: bool = False
    #: It takes bytes that are not those of their checksum, and repeats what it was told.
    checks_nothing: bool = False
    #: It says the checksum of what it stored.
    states_checksum: bool = True
    #: How it writes the names of headers with metadata.
    writes_names: Callable[[str], str] = str.lower
    #: It keeps nothing of what is put at keys that end with a slash.
    empties_folders: bool = False
    #: It calls a key taken that is the beginning of another's, with a slash behind, or begins so.
    has_folders: bool = False
    #: It keeps so many bytes of each object; None for all.
    keeps: int | None = None
    #: So many PUTs with a condition meet a 409.
    conflicts: int = 0
    #: Only those of keys that end so do.
    conflicts_at: str = ""
    #: So many PUTs are carried out and not answered.
    loses_answers: int = 0
    #: So many PUTs are answered 200 by something in between, which stores nothing.
    swallows: int = 0
    #: What every PUT is refused with.
    refusal: Refusal | None = None
    #: What every GET of an object is refused with.
    get_refusal: Refusal | None = None


@dataclass(frozen=True)
class Stored:
    """An object."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class FakeS3:
    """Listens on a loopback port; `with FakeS3() as server`.

    Attributes:
        habits: What it does; may be changed any time.
        objects: Key -> object, of its one bucket.
        requests: Method and key of every request so far.
        region: The one that must sign.
    """

    def __init__(self, bucket: str = "pictures", region: str = "us-east-1") -> None:
        self.bucket = bucket
        self.region = region
        self.capabilities = Capabilities()
        self.objects: dict[str, Stored] = {}
        self.requests: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        self._server = _Server(self, self._handler())
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead the AWS SDK to it."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL_S3": self.url,
        }

    @property
    def puts(self) -> list[str]:
        """The keys that were put, as often as they were."""
        return [key for method, key in self.requests if method == "PUT"]

    def stored_keys(self) -> list[str]:
        """Return the keys of what is stored, without probes."""
        return sorted(key for key in self.objects if not key.startswith("_probe/"))

    def _handler(self) -> "type[_Handler]":
        return _Handler

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, stand_in: FakeS3, handler: "type[_Handler]") -> None:
        self.stand_in = stand_in
        super().__init__(("127.0.0.1", 0), handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    @property
    def stand_in(self) -> FakeS3:
        if not isinstance(self.server, _Server):
            raise TypeError("made by _Server alone")
        return self.server.stand_in

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = urlsplit(self.path)
        bucket, _, key = unquote(path.path).removeprefix("/").partition("/")
        stand_in = self.stand_in
        try:
            with stand_in.lock:
                stand_in.requests.append((self.command, key))
                self._check(bucket, body)
                act = getattr(self, f"_{self.command.lower()}")
                status, headers, answer = act(key, body, dict(parse_qsl(path.query)))
        except Refusal as refusal:
            status, headers, answer = refusal.status, {}, refusal.body
        if self.command == "PUT" and status == 200 and stand_in.capabilities.loses_answers:
            stand_in.capabilities.loses_answers -= 1
            self.close_connection = True
            return
        self._say(status, headers, answer)

    do_GET = do_HEAD = do_PUT = do_DELETE = _any  # noqa: N815 - the base class's names

    def _check(self, bucket: str, body: bytes) -> None:
        stand_in = self.stand_in
        signed = Signed.read(self.headers, self.command, self.path)
        if signed is None:
            raise Refusal(403, "AccessDenied", "Access Denied")
        if signed.region != stand_in.region:
            message = f"The region '{signed.region}' is wrong; expecting '{stand_in.region}'"
            raise Refusal(400, "AuthorizationHeaderMalformed", message, Region=stand_in.region)
        if not signed.is_right:
            raise Refusal(403, "SignatureDoesNotMatch", "The signature does not match")
        if not stand_in.capabilities.checks_nothing and not signed.covers(body):
            raise Refusal(400, "XAmzContentSHA256Mismatch", "The body is not what was signed")
        if bucket != stand_in.bucket:
            raise Refusal(404, "NoSuchBucket", "The specified bucket does not exist")

    def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, text in headers.items():
            self.send_header(name, text)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _put(self, key: str, body: bytes, _query: dict[str, str]) -> _Answer:
        habits, objects = self.stand_in.capabilities, self.stand_in.objects
        source = self.headers.get("x-amz-copy-source")
        if source:
            objects[key] = self._found(unquote(source).removeprefix("/").partition("/")[2])
            return 200, {}, b"<CopyObjectResult></CopyObjectResult>"
        if habits.swallows:
            habits.swallows -= 1
            return 200, {"content-type": "text/html"}, b"<html>We are back soon</html>"
        if habits.refusal:
            raise habits.refusal
        for name in habits.refuses:
            if name in self.headers:
                message = f"Unsupported header '{name}' received for this API call."
                raise Refusal(400, "InvalidArgument", message)
        self._check_condition(key)
        if not habits.checks_nothing:
            self._check_bytes(body)
        kept = body[: habits.keeps]
        if habits.empties_folders and key.endswith("/"):
            kept = b""
        headers = self._described()
        objects[key] = Stored(kept, headers)
        answer = {"etag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'}
        if habits.states_checksum and "x-amz-checksum-sha256" in headers:
            answer["x-amz-checksum-sha256"] = headers["x-amz-checksum-sha256"]
        return 200, answer, b""

    def _described(self) -> dict[str, str]:
        """Return the headers that are kept with an object."""
        known = ("content-type", "x-amz-checksum-sha256", "x-amz-meta-")
        return {n.lower(): text for n, text in self.headers.items() if n.lower().startswith(known)}

    def _check_condition(self, key: str) -> None:
        habits, objects = self.stand_in.capabilities, self.stand_in.objects
        if "if-none-match" not in self.headers or habits.ignores_condition:
            return
        if habits.lacks_condition:
            message = "A header you provided implies functionality that is not implemented"
            raise Refusal(501, "NotImplemented", message)
        if habits.conflicts and key.endswith(habits.conflicts_at):
            habits.conflicts -= 1
            raise Refusal(409, "ConditionalRequestConflict", "Another write is under way")
        beside = any(
            other.startswith(f"{key}/") or key.startswith(f"{other}/") for other in objects
        )
        if key in objects or (habits.has_folders and beside):
            raise Refusal(412, "PreconditionFailed", "A pre-condition did not hold")

    def _check_bytes(self, body: bytes) -> None:
        stated = self.headers.get("x-amz-checksum-sha256")
        if stated and base64.b64decode(stated) != hashlib.sha256(body).digest():
            raise Refusal(400, "XAmzContentChecksumMismatch", "The checksum did not match")
        stated = self.headers.get("content-md5")
        if stated and base64.b64decode(stated) != hashlib.md5(body, usedforsecurity=False).digest():
            raise Refusal(400, "BadDigest", "The Content-MD5 did not match")

    def _found(self, key: str) -> Stored:
        if key not in self.stand_in.objects:
            raise Refusal(404, "NoSuchKey", "The specified key does not exist.", Key=key)
        return self.stand_in.objects[key]

    def _get(self, key: str, _body: bytes, query: dict[str, str]) -> _Answer:
        if key and self.stand_in.capabilities.get_refusal:
            raise self.stand_in.capabilities.get_refusal
        if key:
            return 200, *self._shown(self._found(key))
        prefix = query.get("prefix", "")
        found = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(there.body)}</Size></Contents>"
            for name, there in sorted(self.stand_in.objects.items())
            if name.startswith(prefix)
        )
        return 200, {}, f"<ListBucketResult>{found}</ListBucketResult>".encode()

    def _head(self, key: str, _body: bytes, _query: dict[str, str]) -> _Answer:
        return 200, *self._shown(self._found(key))

    def _shown(self, there: Stored) -> tuple[dict[str, str], bytes]:
        habits = self.stand_in.capabilities
        headers = {}
        for name, text in there.headers.items():
            if name.startswith("x-amz-meta-"):
                headers[habits.writes_names(name)] = text
            elif habits.states_checksum or name != "x-amz-checksum-sha256":
                headers[name] = text
        return headers, there.body

    def _delete(self, key: str, _body: bytes, _query: dict[str, str]) -> _Answer:
        self.stand_in.objects.pop(key, None)
        return 204, {}, b""

    def log_message(self, *_arguments: object) -> None:
        """Write nothing."""
