"""Reads a request's body, up to a limit: into memory, or with its base64 in files."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from service.body.json_scanner import (
    LONG,
    BodyScanner,
    FileField,
    FileFields,
    ScannedBody,
    SkeletonTooLarge,
)
from service.http.caller_values import shown
from service.http.places import LaterPlace, Places
from service.http.problems import Problem, too_large

#: Bytes of a large body besides its files; they are in memory.
LARGEST_SKELETON: Final = 1024 * 1024
#: Bytes handed to a thread at a time: large enough to outweigh its overhead, small in memory.
_BATCH: Final = 256 * 1024
#: Seconds in which each batch must arrive; slow callers would otherwise block a slot for hours.
_SLOWEST_BATCH: Final = 60.0
_RETRY_AFTER: Final = "5"  # seconds
#: Scope key that is set if the body arrived too slowly (service/server/connection.py).
TOO_SLOW: Final = "fluxrelay.too_slow"


async def read_body(request: Request[Any], limit: int) -> bytes:
    """Return the whole body.

    Args:
        request: The request.
        limit: Most bytes, checked against Content-Length and while reading.

    Raises:
        Problem: It is too large (413), compressed (415) or came too slowly (408).
    """
    body = bytearray()
    async for chunk in _stream(request, limit):
        body += chunk
    return bytes(body)


class BodyReader:
    """Reads bodies that may contain images and videos as base64.

    A small body has no room for a long one and is simply read into memory. Those of a larger body
    are moved into files while it arrives. File operations can block, and decoding takes about 1
    ms per batch, so both run in threads.

    Args:
        limit: Most bytes of a body.
        at_a_time: Most large bodies read concurrently. Each uses a thread and files on disk;
            further ones wait, and are then rejected.
        each: How many of these one tenant may have.
        files: All fields that may hold files, by name.
    """

    def __init__(
        self, *, limit: int, at_a_time: int, each: int, files: Mapping[str, FileField]
    ) -> None:
        self._limit = limit
        #: Places for large bodies. The caller of one that waits is not read from meanwhile.
        self.places = Places(at_a_time, partial(_busy, at_a_time, each), each=each)
        self._files = files

    @asynccontextmanager
    async def read(
        self, request: Request[Any], tenant: str, parents: tuple[str, ...] = ("input",)
    ) -> AsyncIterator[ScannedBody]:
        """Read a body; leaving the context deletes its files and frees its slot.

        Args:
            request: The request.
            tenant: Whose body it is.
            parents: Path to the object that contains the files.

        Raises:
            Problem: It is too large (413), compressed (415), came too slowly (408), or no
                slot is free (503).
        """
        stream = _stream(request, self._limit)
        head, is_all = await _beginning(stream)
        if is_all:
            yield ScannedBody(head, {}, ())
            return
        with self.places.later(tenant) as place:
            await place.take()
            scanner = BodyScanner(
                FileFields(self._files, parents), largest_skeleton=LARGEST_SKELETON
            )
            try:
                await _pour(stream, head, scanner.feed)
                yield scanner.end()
            finally:
                await asyncio.shield(run_in_threadpool(scanner.close))


async def pour(
    request: Request[Any], limit: int, feed: Callable[[bytes], None], place: LaterPlace
) -> None:
    """Hand a body over piece by piece, in threads; a large one is never in memory as a whole.

    Args:
        request: The request.
        limit: Most bytes of the body.
        feed: Takes the next piece; may raise `SkeletonTooLarge`, `OSError` and `Problem`.
        place: Is taken if the body is large.

    Raises:
        Problem: It is too large (413), compressed (415), came too slowly (408), or cannot be
            stored, or no place is free (503).
    """
    stream = _stream(request, limit)
    head, is_all = await _beginning(stream)
    if not is_all:
        await place.take()
    await _pour(stream, head, feed)


async def _beginning(stream: AsyncIterator[bytes]) -> tuple[bytes, bool]:
    """Return the first bytes of a body, and whether they are all of it: whether it is small."""
    head = bytearray()
    async for chunk in stream:
        head += chunk
        if len(head) > LONG:
            return bytes(head), False
    return bytes(head), True


async def _pour(stream: AsyncIterator[bytes], batch: bytes, feed: Callable[[bytes], None]) -> None:
    try:
        while batch:
            await run_in_threadpool(feed, batch)
            batch = await _next_batch(stream)
    except SkeletonTooLarge:
        raise too_large(LARGEST_SKELETON, "besides its images and videos") from None
    except TimeoutError:
        detail = f"The body arrives too slowly: {_BATCH} bytes took over {_SLOWEST_BATCH:g} s"
        raise _hung_up(HTTPStatus.REQUEST_TIMEOUT, "too-slow", detail) from None
    except OSError as error:
        detail = f"The body cannot be stored here right now ({error.strerror}); try again later"
        raise _hung_up(HTTPStatus.SERVICE_UNAVAILABLE, "no-room", detail, retry=True) from error


async def _next_batch(stream: AsyncIterator[bytes]) -> bytes:
    """Return the next batch: shorter at the end, empty after it."""
    chunks, size = [], 0
    async with asyncio.timeout(_SLOWEST_BATCH):
        async for chunk in stream:
            chunks.append(chunk)
            size += len(chunk)
            if size >= _BATCH:
                break
    return b"".join(chunks)


async def _stream(request: Request[Any], limit: int) -> AsyncIterator[bytes]:
    """Yield the body's chunks, up to the limit."""
    # Several lines are one list (RFC 9110 section 5.3).
    encoding = ", ".join(request.headers.getlist("content-encoding"))
    if encoding and any(one.strip().lower() not in {"", "identity"} for one in encoding.split(",")):
        raise _encoded(encoding)
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > limit:
        raise too_large(limit)
    size = 0
    more = True
    while more:  # as `request.stream` does, without a nested generator
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        if not chunk and more and TOO_SLOW in request.scope:
            detail = "The body took too long to arrive; send it faster, or send large files as URLs"
            raise _hung_up(HTTPStatus.REQUEST_TIMEOUT, "too-slow", detail)
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        yield chunk


def _encoded(encoding: str) -> Problem:
    """Return the problem of a compressed body (RFC 9110 sections 12.5.3 and 15.5.16)."""
    detail = (
        f"The body has the Content-Encoding {shown(encoding)}, which is not supported; "
        "send it uncompressed, without that header"
    )
    headers = {"accept-encoding": "identity"}
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    return Problem(status, "content-encoding", detail, headers=headers)


def _busy(most: int, each: int) -> Problem:
    detail = (
        f"Too many bodies over {LONG} bytes are being received: {most} at a time, of one caller "
        f"{each} (FLUXRELAY_LARGE_BODIES); try again a little later"
    )
    return _hung_up(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, retry=True)


def _hung_up(status: HTTPStatus, kind: str, detail: str, *, retry: bool = False) -> Problem:
    """Return a problem that leaves the rest of the body unread and closes the connection."""
    headers = {"connection": "close"} | ({"retry-after": _RETRY_AFTER} if retry else {})
    return Problem(status, kind, detail, headers=headers)
