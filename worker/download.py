"""Fetches a result into a file of bounded memory, and looks at what came."""

import base64
import binascii
import contextlib
import io
import ssl
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import file_digest, md5, sha256
from typing import IO, Any, Final
from zlib import crc32

import httpx
from PIL import Image

from core.egress import result_url_problem
from core.errors import Transient
from worker.egress import guarded_client

_CONNECT_TIMEOUT: Final = 5.0  # seconds
_STALL_TIMEOUT: Final = 10.0  # seconds without a byte
#: Bytes up to which a result is held in memory; a larger one goes through a file on disk, so 20 MB
#: cost no more memory than one.
_IN_MEMORY: Final = 2 * 1024 * 1024
#: Larger results are refused; the provider's largest image is a few megapixels.
LARGEST_RESULT: Final = 100 * 1024 * 1024  # bytes

_MD5_BYTES: Final = 16
_PNG_SIGNATURE_BYTES: Final = 8
_PIECE: Final = 256 * 1024  # bytes that are looked at at a time

#: Pillow's name of a format -> media type, file ending, and the bytes that a whole file ends with.
_FORMATS: Final = {
    "JPEG": ("image/jpeg", "jpg", b"\xff\xd9"),
    "PNG": ("image/png", "png", b"IEND\xaeB`\x82"),
    "WEBP": ("image/webp", "webp", b""),
}

#: File ending -> media type of what a result may be.
CONTENT_TYPES: Final = {extension: kind for kind, extension, _ in _FORMATS.values()}


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


class Downloader:
    """Fetches results from the provider's delivery hosts, and from nowhere else.

    Args:
        hosts: Which hosts those are (`FLUXRELAY_RESULT_HOSTS`).
        timeout: Seconds for one download as a whole.
        connections: How many may run at a time.
        ssl_context: Made once per process.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        timeout: float,
        connections: int,
        ssl_context: ssl.SSLContext,
    ) -> None:
        self._hosts = hosts
        self._timeout = timeout
        self._client = guarded_client(
            timeout=httpx.Timeout(_STALL_TIMEOUT, connect=_CONNECT_TIMEOUT),
            connections=connections,
            ssl_context=ssl_context,
            trusted_hosts=[host for host in hosts if not host.startswith(".")],
        )

    def fetch(self, url: str, alive: Callable[[], None]) -> Result:
        """Download one result.

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
                file, size, check = self._copy(url, alive, undone)
                result = _looked_at(file, size, check)
            except OSError as error:  # of the temporary file; the network's are httpx'
                raise Transient(f"there is no room for the result: {error.strerror}") from error
            undone.pop_all()  # the caller's to close
        return result

    def _copy(
        self, url: str, alive: Callable[[], None], undone: contextlib.ExitStack
    ) -> tuple[IO[bytes], int, bytes | None]:
        """Return what came, its size, and the checksum that the host states."""
        size, give_up_at = 0, time.monotonic() + self._timeout
        try:
            # Compressed on the way, the bytes would be neither the image's nor of its length.
            headers = {"accept": "image/*", "accept-encoding": "identity"}
            with self._client.stream("GET", url, headers=headers) as response:
                _check_status(response.status_code)
                file = undone.enter_context(_room(response.headers))
                # As they come: gathering them up would hide a host that sends byte by byte.
                for chunk in response.iter_raw():
                    size += len(chunk)
                    file.write(chunk)
                    alive()
                    if size > LARGEST_RESULT or time.monotonic() > give_up_at:
                        raise Transient(f"the result is too large or too slow ({size} bytes)")
                stated = response.headers.get("content-length", str(size))
                check = _content_md5(response.headers)
        except httpx.HTTPError as error:
            # The text of such an error may hold the signed URL.
            raise Transient(f"the result could not be fetched: {type(error).__name__}") from error
        if stated != str(size):
            raise Transient(f"the result has {size} bytes instead of {stated}")
        return file, size, check


def _room(headers: httpx.Headers) -> IO[bytes]:
    """Return where an answer's body is kept: in memory only where its length bounds it."""
    stated = headers.get("content-length", "")
    bounded = stated.isascii() and stated.isdigit() and "transfer-encoding" not in headers
    if bounded and int(stated) <= _IN_MEMORY:
        return io.BytesIO()
    return tempfile.TemporaryFile()


def _content_md5(headers: httpx.Headers) -> bytes | None:
    """Return the checksum that the host states (RFC 1864; Azure "Get Blob"), None if it is none."""
    try:
        check = base64.b64decode(headers.get("content-md5", ""), validate=True)
    except (binascii.Error, ValueError):
        return None
    return check if len(check) == _MD5_BYTES else None


def _check_status(status: int) -> None:
    if status in (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise ResultGone(str(status))
    if status != httpx.codes.OK:
        raise Transient(f"the result's host answered {status}")


def _looked_at(file: IO[bytes], size: int, check: bytes | None) -> Result:
    """Check that the file is one whole image of a format that the provider makes."""
    file.seek(0)
    try:
        with Image.open(file, formats=list(_FORMATS)) as image:
            name, (width, height) = str(image.format), image.size
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise Transient("the result is not an image") from error
    content_type, extension, ending = _FORMATS[name]
    file.seek(max(0, size - 64))
    if ending not in file.read() or not _is_sound(name, file, size):
        raise Transient("the result is not a whole image")
    # A PNG's own checksums, which cover all of it, were right; a second pass would find no more.
    if name != "PNG" and check and check != _digest(file, partial(md5, usedforsecurity=False)):
        raise Transient("the result's bytes are not those of its Content-MD5")
    digest = _digest(file, sha256)
    file.seek(0)
    return Result(
        file=file,
        size=size,
        sha256=digest,
        content_type=content_type,
        extension=extension,
        width=width,
        height=height,
    )


def _digest(file: IO[bytes], make: Callable[[], Any]) -> bytes:
    """Return a checksum of the whole file, made in steps so large that other threads run."""
    file.seek(0)
    source: Any = file  # typeshed asks for more than is called
    return file_digest(source, make).digest()


def _is_sound(name: str, file: IO[bytes], size: int) -> bool:
    """Say whether the file is what it says of itself; JPEG says nothing."""
    if name == "WEBP":  # RFC 9649 section 2.4
        file.seek(4)
        return size == int.from_bytes(file.read(4), "little") + 8
    return name != "PNG" or _has_sound_chunks(file)


def _has_sound_chunks(file: IO[bytes]) -> bool:
    """Say whether each chunk has its checksum (PNG specification, chunk layout)."""
    file.seek(_PNG_SIGNATURE_BYTES)
    while len(head := file.read(8)) == 8:  # noqa: PLR2004 - a chunk's length and name
        left, name = int.from_bytes(head[:4], "big"), head[4:]
        check = crc32(name)
        while part := file.read(min(left, _PIECE)):
            check, left = crc32(part, check), left - len(part)
        if left or file.read(4) != check.to_bytes(4, "big"):
            return False
        if name == b"IEND":
            return True
    return False
