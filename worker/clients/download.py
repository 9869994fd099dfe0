"""Downloads a result into a file with bounded memory, and checks it."""

import base64
import binascii
import contextlib
import io
import math
import re
import ssl
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import file_digest, md5, sha256
from typing import IO, Any, Final
from urllib.parse import urljoin

import httpx

from core.errors import Transient
from core.media.image_formats import FORMATS, PNG, BadImage, read_picture
from core.security.address_rules import redirect_problem, result_url_problem
from core.text_values import Secret
from worker.clients.decoding import BadEncoding, Decoder
from worker.network.guarded_http import Deadline, guarded_client

_CONNECT_TIMEOUT: Final = 5.0  # seconds
_STALL_TIMEOUT: Final = 10.0  # seconds without a byte
#: Results up to this many bytes are held in memory; larger ones go to a temporary file.
_MAX_IN_MEMORY: Final = 2 * 1024 * 1024
#: Maximum size of a result; the provider's largest image is a few megapixels.
MAX_RESULT_BYTES: Final = 100 * 1024 * 1024  # bytes
_MAX_REDIRECTS: Final = 5  # redirects
_REDIRECTS: Final = (301, 302, 303, 307, 308)  # RFC 9110 section 15.4, those that name a place
#: With compression, the bytes and the length would not be those of the image.
_HEADERS: Final = {"accept": "image/*", "accept-encoding": "identity"}
#: Also tells proxies on the way not to transform the body (RFC 9111 section 5.2.1.6).
_NO_TRANSFORM: Final = _HEADERS | {
    "accept-encoding": "identity, *;q=0", "cache-control": "no-cache, no-transform"
}  # fmt: skip
#: A `Content-Range` that begins at 0, with a known end and length.
_RANGE: Final = re.compile(r"bytes 0-(\d{1,15})/(\d{1,15})", re.ASCII)
_MD5_BYTES: Final = 16

#: File extension -> media type of the supported result formats.
CONTENT_TYPES: Final = {form.extension: form.content_type for form in FORMATS.values()}


class ResultGone(Exception):
    """The URL has expired: 403, 404 or 410, as a signed URL answers after its end."""


class LinkRefused(Exception):
    """The URL is invalid, or results must not come from its host; the text may be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A downloaded and checked image; the user closes `file`."""

    file: IO[bytes]
    size: int  # bytes
    sha256: bytes
    content_type: str
    extension: str
    width: int  # pixels
    height: int  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    """A received body: its file, its size in bytes, and the checksum that it must have."""

    file: IO[bytes]
    size: int
    check: bytes | None


class Downloader:
    """Downloads results from the provider's delivery hosts only.

    Args:
        hosts: The delivery hosts (`FLUXRELAY_RESULT_HOSTS`).
        timeout: Seconds for one download as a whole.
        connections: Maximum number of concurrent downloads.
        ssl_context: Shared by the clients of a process.
        proxy: As in `worker.network.proxies.transport_through`.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        timeout: float,
        connections: int,
        ssl_context: ssl.SSLContext,
        proxy: Secret | None = None,
    ) -> None:
        self._hosts = hosts
        self._timeout = timeout
        self._deadline = Deadline()
        self._client = guarded_client(
            timeout=httpx.Timeout(_STALL_TIMEOUT, connect=_CONNECT_TIMEOUT),
            connections=connections,
            ssl_context=ssl_context,
            trusted_hosts=[host for host in hosts if not host.startswith(".")],
            deadline=self._deadline,
            proxy=proxy,
        )

    def fetch(self, url: str, alive: Callable[[], None]) -> Result:
        """Download one result, following redirects to allowed hosts.

        Args:
            url: The signed URL; no key of ours is sent with it.
            alive: Called after each chunk, to renew the caller's lease.

        Raises:
            ResultGone: The URL has expired.
            LinkRefused: The URL is not allowed.
            Transient: A retry may succeed.
        """
        if problem := result_url_problem(url, self._hosts):
            raise LinkRefused(problem)
        with contextlib.ExitStack() as cleanup:
            try:
                result = _checked(self._copy(url, alive, cleanup))
            except OSError as error:  # an error of the temporary file; httpx wraps network errors
                raise Transient(
                    f"there is no disk space for the result: {error.strerror}"
                ) from error
            cleanup.pop_all()  # the caller closes the file
        return result

    def _copy(self, url: str, alive: Callable[[], None], cleanup: contextlib.ExitStack) -> _Body:
        """Return the received body, redirects included, within one time limit."""
        self._deadline.at = time.monotonic() + self._timeout
        try:
            return self._follow(url, alive, cleanup)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise LinkRefused("The result's link has no valid host") from error
        except BadEncoding as error:
            raise Transient(f"the result cannot be unpacked: {error}") from error
        except httpx.HTTPError as error:
            if "location header" in str(error):  # httpx parses the redirect's target itself
                raise LinkRefused("The result's link redirects to an invalid URL") from error
            if time.monotonic() >= self._deadline.at:
                raise Transient("the download took too long") from error
            # The error's text may contain the signed URL.
            raise Transient(f"the result could not be fetched: {type(error).__name__}") from error
        finally:
            self._deadline.at = math.inf

    def _follow(self, url: str, alive: Callable[[], None], cleanup: contextlib.ExitStack) -> _Body:
        """Request the URL and follow redirects; each request is built anew, without our headers.

        If the answer has an encoding that cannot be decoded, the request is repeated once with
        headers that forbid proxies to encode.
        """
        asked, headers = [url], _HEADERS
        while True:
            with self._client.stream("GET", asked[-1], headers=headers) as response:
                alive()
                if response.status_code in _REDIRECTS:
                    asked.append(_next_url(asked, response, self._hosts))
                    continue
                _check_status(response)
                decoder = Decoder(response.headers.get("content-encoding", ""), MAX_RESULT_BYTES)
                if not decoder.known and headers is _HEADERS:
                    headers = _NO_TRANSFORM
                    continue
                file = cleanup.enter_context(_open_file(response.headers))
                return self._received(response, decoder, file, alive)

    def _received(
        self,
        response: httpx.Response,
        decoder: Decoder,
        file: IO[bytes],
        alive: Callable[[], None],
    ) -> _Body:
        """Write a body to the file, and check its length, which is that of the encoded bytes."""
        came, sent_as = 0, md5(usedforsecurity=False)
        # Chunk by chunk as they arrive: buffering would hide a host that sends single bytes.
        for chunk in response.iter_raw():
            came += len(chunk)
            if decoder.encoded:
                sent_as.update(chunk)
            for piece in decoder.feed(chunk):
                file.write(piece)
            alive()
            if came > MAX_RESULT_BYTES:
                raise Transient(f"the result is too large ({came} bytes)")
        for piece in decoder.end():
            file.write(piece)
        stated = _stated_length(response)
        if stated not in (None, str(came)):
            raise Transient(f"the result has {came} bytes instead of {stated}")
        check = _content_md5(response.headers)
        if decoder.encoded and check == sent_as.digest():
            check = None  # it covers the encoded bytes (RFC 1864), and it matches
        return _Body(file=file, size=file.tell(), check=check)


def _next_url(asked: Sequence[str], response: httpx.Response, hosts: Sequence[str]) -> str:
    """Return the target of a redirect.

    Raises:
        LinkRefused: The target is not allowed.
        Transient: There is no usable target.
    """
    status, location = response.status_code, str(response.headers.get("location", "")).strip()
    if not location:
        raise Transient(f"the result's host answered {status} without a Location")
    try:
        url = urljoin(asked[-1], location)
    except ValueError as error:
        raise LinkRefused("The result's link redirects to an invalid URL") from error
    if problem := redirect_problem(asked[0], url, hosts):
        raise LinkRefused(problem)
    if url in asked:
        raise Transient(f"the result's host answered {status}, a redirect loop")
    if len(asked) > _MAX_REDIRECTS:
        raise Transient(f"the result's host answered {status} after {_MAX_REDIRECTS} redirects")
    return url


def _open_file(headers: httpx.Headers) -> IO[bytes]:
    """Return the file for a body: in memory only if its length is known and small."""
    stated = headers.get("content-length", "")
    unbounded = "transfer-encoding" in headers or "content-encoding" in headers
    if stated.isascii() and stated.isdigit() and not unbounded and int(stated) <= _MAX_IN_MEMORY:
        return io.BytesIO()
    return tempfile.TemporaryFile()


def _content_md5(headers: httpx.Headers) -> bytes | None:
    """Return the stated checksum (RFC 1864; Azure "Get Blob"), or None if there is no valid one."""
    try:
        check = base64.b64decode(headers.get("content-md5", ""), validate=True)
    except (binascii.Error, ValueError):
        return None
    return check if len(check) == _MD5_BYTES else None


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status in (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise ResultGone(str(status))
    whole = status == httpx.codes.PARTIAL_CONTENT and _whole_range(response.headers)
    if status != httpx.codes.OK and not whole:
        raise Transient(f"the result's host answered {status}")


def _whole_range(headers: httpx.Headers) -> str | None:
    """Return the total length if a ranged answer covers all of it."""
    found = _RANGE.fullmatch(headers.get("content-range", "").strip())
    return found[2] if found and int(found[1]) + 1 == int(found[2]) else None


def _stated_length(response: httpx.Response) -> str | None:
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        return _whole_range(response.headers)
    length: str | None = response.headers.get("content-length")
    return length


def _checked(body: _Body) -> Result:
    """Check that the file is one complete image of a supported format."""
    try:
        picture = read_picture(body.file, body.size)
    except BadImage as error:
        raise Transient(f"the result {error}") from error
    # A PNG's own checksums cover the whole file and were verified; another pass adds nothing.
    checked = picture.format is PNG and picture.end == body.size
    if body.check and not checked:
        found = _digest(body.file, partial(md5, usedforsecurity=False))
        if found != body.check:
            raise Transient("the result does not match its Content-MD5")
    digest = _digest(body.file, sha256)
    body.file.seek(0)
    return Result(
        file=body.file,
        size=body.size,
        sha256=digest,
        content_type=picture.format.content_type,
        extension=picture.format.extension,
        width=picture.width,
        height=picture.height,
    )


def _digest(file: IO[bytes], make: Callable[[], Any]) -> bytes:
    """Return a checksum of the whole file, computed in steps so large that other threads run."""
    file.seek(0)
    source: Any = file  # typeshed requires more methods than are called
    return file_digest(source, make).digest()
