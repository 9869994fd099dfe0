"""Downloads a result into a file with bounded memory, and checks it."""

import contextlib
import io
import math
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import file_digest, md5, sha256
from typing import IO, Any, Final
from urllib.parse import urljoin

import httpx

from core.errors import Transient
from core.media.contents import IMAGE, BadContent, Content
from core.security.address_rules import redirect_problem, result_url_problem
from core.text_values import Secret
from worker.clients.decoding import BadEncoding, Decoder
from worker.clients.transfer import Transfer, is_whole, stated_length
from worker.network.guarded_http import Deadline, guarded_client

_CONNECT_TIMEOUT: Final = 5.0  # seconds
_STALL_TIMEOUT: Final = 10.0  # seconds without a byte
#: Results up to this many bytes are held in memory; larger ones go to a temporary file.
_MAX_IN_MEMORY: Final = 2 * 1024 * 1024
#: A large result may take longer than the time limit, if it arrives at this rate at least.
_SLOWEST: Final = 1024 * 1024  # bytes per second
_MAX_REDIRECTS: Final = 5  # redirects
#: Interruptions of one download after which it is not resumed.
_MOST_BREAKS: Final = 10
_REDIRECTS: Final = (301, 302, 303, 307, 308)  # RFC 9110 section 15.4, those that name a place
#: With compression, the bytes and the length would not be those of the file.
_HEADERS: Final = {"accept-encoding": "identity"}
#: Also tells proxies on the way not to transform the body (RFC 9111 section 5.2.1.6).
_NO_TRANSFORM: Final = {
    "accept-encoding": "identity, *;q=0", "cache-control": "no-cache, no-transform"
}  # fmt: skip


class ResultGone(Exception):
    """The URL has expired: 403, 404 or 410, as a signed URL answers after its end."""


class LinkRefused(Exception):
    """The URL is invalid, or results must not come from its host; the text may be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A downloaded and checked file; the user closes `file`."""

    file: IO[bytes]
    size: int  # bytes
    sha256: bytes
    content_type: str
    extension: str
    #: What is known of its content (`core.media.contents.Checked`).
    facts: Mapping[str, Any]


class Downloader:
    """Downloads results from the provider's delivery hosts only.

    Args:
        hosts: The delivery hosts (`FLUXRELAY_RESULT_HOSTS`).
        timeout: Seconds for one download as a whole; a large one may take longer.
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

    def fetch(self, url: str, alive: Callable[[], None], content: Content = IMAGE) -> Result:
        """Download one file of a result, following redirects to allowed hosts.

        Args:
            url: The signed URL; no key of ours is sent with it.
            alive: Called after each chunk, to renew the caller's lease.
            content: What the file has to be.

        Raises:
            ResultGone: The URL has expired.
            LinkRefused: The URL is not allowed.
            Transient: A retry may succeed.
        """
        if problem := result_url_problem(url, self._hosts):
            raise LinkRefused(problem)
        with contextlib.ExitStack() as cleanup:
            try:
                result = _checked(self._copy(url, content, alive, cleanup), content)
            except OSError as error:  # an error of the temporary file; httpx wraps network errors
                raise Transient(
                    f"there is no disk space for the result: {error.strerror}"
                ) from error
            cleanup.pop_all()  # the caller closes the file
        return result

    def _copy(
        self,
        url: str,
        content: Content,
        alive: Callable[[], None],
        cleanup: contextlib.ExitStack,
    ) -> Transfer:
        """Return the received body, redirects included, within one time limit."""
        self._deadline.at = time.monotonic() + self._timeout
        try:
            return self._follow(url, content, alive, cleanup)
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

    def _follow(
        self,
        url: str,
        content: Content,
        alive: Callable[[], None],
        cleanup: contextlib.ExitStack,
    ) -> Transfer:
        """Request the URL and follow redirects; each request is built anew, without our headers.

        If the answer has an encoding that cannot be decoded, the request is repeated once with
        headers that forbid proxies to encode. If it breaks off, the rest is requested.
        """
        asked, headers = [url], {"accept": content.accept, **_HEADERS}
        transfer: Transfer | None = None
        started, breaks = time.monotonic(), 0
        while True:
            ranged = headers | (transfer.range_headers() if transfer else {})
            try:
                with self._client.stream("GET", asked[-1], headers=ranged) as response:
                    alive()
                    if response.status_code in _REDIRECTS:
                        asked.append(_next_url(asked, response, self._hosts))
                        continue
                    if transfer is None or not transfer.goes_on_with(response):
                        _check_status(response)
                        coding = response.headers.get("content-encoding", "")
                        decoder = Decoder(coding, content.largest, content.begins)
                        if not decoder.known and "cache-control" not in headers:
                            headers |= _NO_TRANSFORM
                            continue
                        total = _checked_length(response, content)
                        self._deadline.at = max(self._deadline.at, started + total / _SLOWEST)
                        cleanup.close()  # the file of an earlier answer
                        file = cleanup.enter_context(_open_file(response.headers))
                        transfer = Transfer.begin(response, decoder, file)
                    return _received(response, transfer, content, alive)
            except httpx.TransportError:
                breaks += 1
                if breaks > _MOST_BREAKS or transfer is None or not transfer.may_resume():
                    raise


def _checked_length(response: httpx.Response, content: Content) -> int:
    """Return the length that a complete answer states; 0 if it states none.

    Raises:
        Transient: It is too large, or nobody could tell where it ends.
    """
    total = stated_length(response)
    if total is not None and total > content.largest:
        raise Transient(f"the result is too large ({total} bytes)")
    if total is None and not content.shows_its_end and "transfer-encoding" not in response.headers:
        raise Transient(f"the result's host does not state the length of the {content.name}")
    return total or 0


def _received(
    response: httpx.Response, transfer: Transfer, content: Content, alive: Callable[[], None]
) -> Transfer:
    """Write a body to its file, and check its length, which is that of the encoded bytes."""
    decoder, file = transfer.decoder, transfer.file
    # Chunk by chunk as they arrive: buffering would hide a host that sends single bytes.
    for chunk in response.iter_raw():
        transfer.came += len(chunk)
        if decoder.encoded:
            transfer.sent_as.update(chunk)
        for piece in decoder.feed(chunk):
            file.write(piece)
        alive()
        if transfer.came > content.largest:
            raise Transient(f"the result is too large ({transfer.came} bytes)")
    for piece in decoder.end():
        file.write(piece)
    if transfer.total not in (None, transfer.came):
        raise Transient(f"the result has {transfer.came} bytes instead of {transfer.total}")
    if decoder.encoded and transfer.check == transfer.sent_as.digest():
        transfer.check = None  # it covers the encoded bytes (RFC 1864), and it matches
    return transfer


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


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status in (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise ResultGone(str(status))
    whole = status == httpx.codes.PARTIAL_CONTENT and is_whole(response)
    if status != httpx.codes.OK and not whole:
        raise Transient(f"the result's host answered {status}")


def _checked(transfer: Transfer, content: Content) -> Result:
    """Check that the file is complete and what it has to be."""
    file = transfer.file
    size = file.seek(0, io.SEEK_END)
    try:
        checked = content.check(file, size)
    except BadContent as error:
        raise Transient(f"the result {error}") from error
    # Another pass over what the format's own checksums cover adds nothing.
    if transfer.check and not checked.is_verified:
        found = _digest(file, partial(md5, usedforsecurity=False))
        if found != transfer.check:
            raise Transient("the result does not match its Content-MD5")
    digest = _digest(file, sha256)
    file.seek(0)
    return Result(
        file=file,
        size=size,
        sha256=digest,
        content_type=checked.format.content_type,
        extension=checked.format.extension,
        facts=checked.facts,
    )


def _digest(file: IO[bytes], make: Callable[[], Any]) -> bytes:
    """Return a checksum of the whole file, computed in steps so large that other threads run."""
    file.seek(0)
    source: Any = file  # typeshed requires more methods than are called
    return file_digest(source, make).digest()
