"""Fetches a result into a file of bounded memory, and looks at what came."""

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
#: Bytes up to which a result is held in memory; a larger one goes through a file on disk.
_IN_MEMORY: Final = 2 * 1024 * 1024
#: Larger results are refused; the provider's largest image is a few megapixels.
LARGEST_RESULT: Final = 100 * 1024 * 1024  # bytes
_MOST_HOPS: Final = 5  # redirects
_REDIRECTS: Final = (301, 302, 303, 307, 308)  # RFC 9110 section 15.4, those that name a place
#: Compressed on the way, the bytes would be neither the image's nor of its length.
_HEADERS: Final = {"accept": "image/*", "accept-encoding": "identity"}
#: The same so that a proxy on the way must leave it alone (RFC 9111 section 5.2.1.6).
_PLAINLY: Final = _HEADERS | {
    "accept-encoding": "identity, *;q=0", "cache-control": "no-cache, no-transform"
}  # fmt: skip
#: An answer with a range that begins at the beginning, whose end and length are known.
_RANGE: Final = re.compile(r"bytes 0-(\d{1,15})/(\d{1,15})", re.ASCII)
_MD5_BYTES: Final = 16

#: File ending -> media type of what a result may be.
CONTENT_TYPES: Final = {form.extension: form.content_type for form in FORMATS.values()}


class ResultGone(Exception):
    """The URL is dead: 403, 404 or 410, as a signed URL answers after its end."""


class LinkRefused(Exception):
    """The URL is none, or leads to where results may not come from; the text may be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A downloaded image, whole and looked at; close `file` when done."""

    file: IO[bytes]
    size: int  # bytes
    sha256: bytes
    content_type: str
    extension: str
    width: int  # pixels
    height: int  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    """What came: in a file, so many bytes, and the checksum that it must have."""

    file: IO[bytes]
    size: int
    check: bytes | None


class Downloader:
    """Fetches results from the provider's delivery hosts, and from nowhere else.

    Args:
        hosts: Which hosts those are (`FLUXRELAY_RESULT_HOSTS`).
        timeout: Seconds for one download as a whole.
        connections: How many may run at a time.
        ssl_context: Made once per process.
        proxy: See `worker.network.proxies.way_out`.
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
        """Download one result, wherever its host redirects to within what is allowed.

        Args:
            url: The signed URL; no key of ours is sent with it.
            alive: Called after each chunk, so that the caller can show that it is alive.

        Raises:
            ResultGone: The URL is dead.
            LinkRefused: The URL may not be called.
            Transient: It may go well at the next try.
        """
        if problem := result_url_problem(url, self._hosts):
            raise LinkRefused(problem)
        with contextlib.ExitStack() as undone:
            try:
                result = _looked_at(self._copy(url, alive, undone))
            except OSError as error:  # of the temporary file; the network's are httpx'
                raise Transient(f"there is no room for the result: {error.strerror}") from error
            undone.pop_all()  # the caller's to close
        return result

    def _copy(self, url: str, alive: Callable[[], None], undone: contextlib.ExitStack) -> _Body:
        """Return what came, however many hops it took, within the one time limit."""
        self._deadline.at = time.monotonic() + self._timeout
        try:
            return self._follow(url, alive, undone)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise LinkRefused("The result's link has no valid host") from error
        except BadEncoding as error:
            raise Transient(f"the result cannot be unpacked: {error}") from error
        except httpx.HTTPError as error:
            if "location header" in str(error):  # httpx reads where a redirect leads to itself
                raise LinkRefused("The result's link redirects to what is not a URL") from error
            if time.monotonic() >= self._deadline.at:
                raise Transient("the result is too slow") from error
            # The text of such an error may hold the signed URL.
            raise Transient(f"the result could not be fetched: {type(error).__name__}") from error
        finally:
            self._deadline.at = math.inf

    def _follow(self, url: str, alive: Callable[[], None], undone: contextlib.ExitStack) -> _Body:
        """Ask, and ask where the answer leads to; each request is made anew, with nothing of ours.

        An answer in an encoding that cannot be undone is asked for once more, in words that a proxy
        on the way should heed.
        """
        asked, headers = [url], _HEADERS
        while True:
            with self._client.stream("GET", asked[-1], headers=headers) as response:
                alive()
                if response.status_code in _REDIRECTS:
                    asked.append(_next_url(asked, response, self._hosts))
                    continue
                _check_status(response)
                decoder = Decoder(response.headers.get("content-encoding", ""), LARGEST_RESULT)
                if not decoder.known and headers is _HEADERS:
                    headers = _PLAINLY
                    continue
                file = undone.enter_context(_room(response.headers))
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
        # As they come: gathering them up would hide a host that sends byte by byte.
        for chunk in response.iter_raw():
            came += len(chunk)
            if decoder.encoded:
                sent_as.update(chunk)
            for piece in decoder.feed(chunk):
                file.write(piece)
            alive()
            if came > LARGEST_RESULT:
                raise Transient(f"the result is too large ({came} bytes)")
        for piece in decoder.end():
            file.write(piece)
        stated = _stated_length(response)
        if stated not in (None, str(came)):
            raise Transient(f"the result has {came} bytes instead of {stated}")
        check = _content_md5(response.headers)
        if decoder.encoded and check == sent_as.digest():
            check = None  # it was of the encoded bytes (RFC 1864), and they are right
        return _Body(file=file, size=file.tell(), check=check)


def _next_url(asked: Sequence[str], response: httpx.Response, hosts: Sequence[str]) -> str:
    """Return where a redirect leads to.

    Raises:
        LinkRefused: We may not go there.
        Transient: Nowhere.
    """
    status, location = response.status_code, str(response.headers.get("location", "")).strip()
    if not location:
        raise Transient(f"the result's host answered {status} without saying where to go")
    try:
        url = urljoin(asked[-1], location)
    except ValueError as error:
        raise LinkRefused("The result's link redirects to what is not a URL") from error
    if problem := redirect_problem(asked[0], url, hosts):
        raise LinkRefused(problem)
    if url in asked:
        raise Transient(f"the result's host answered {status}, which leads in a circle")
    if len(asked) > _MOST_HOPS:
        raise Transient(f"the result's host answered {status} after {_MOST_HOPS} redirects")
    return url


def _room(headers: httpx.Headers) -> IO[bytes]:
    """Return where an answer's body is kept: in memory only where its length bounds it."""
    stated = headers.get("content-length", "")
    unbounded = "transfer-encoding" in headers or "content-encoding" in headers
    if stated.isascii() and stated.isdigit() and not unbounded and int(stated) <= _IN_MEMORY:
        return io.BytesIO()
    return tempfile.TemporaryFile()


def _content_md5(headers: httpx.Headers) -> bytes | None:
    """Return the checksum that the host states (RFC 1864; Azure "Get Blob"), None if it is none."""
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
    """Return the length of the whole, where an answer with a range holds all of it."""
    found = _RANGE.fullmatch(headers.get("content-range", "").strip())
    return found[2] if found and int(found[1]) + 1 == int(found[2]) else None


def _stated_length(response: httpx.Response) -> str | None:
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        return _whole_range(response.headers)
    length: str | None = response.headers.get("content-length")
    return length


def _looked_at(body: _Body) -> Result:
    """Check that the file is one whole image of a format that the provider makes."""
    try:
        picture = read_picture(body.file, body.size)
    except BadImage as error:
        raise Transient(f"the result {error}") from error
    # A PNG's own checksums, which cover all of it, were right; a second pass would find no more.
    checked = picture.format is PNG and picture.end == body.size
    if body.check and not checked:
        found = _digest(body.file, partial(md5, usedforsecurity=False))
        if found != body.check:
            raise Transient("the result's bytes are not those of its Content-MD5")
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
    """Return a checksum of the whole file, made in steps so large that other threads run."""
    file.seek(0)
    source: Any = file  # typeshed asks for more than is called
    return file_digest(source, make).digest()
