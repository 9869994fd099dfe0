"""Reads a request's body, up to a limit: into memory, or with its images in files."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from core.provider.catalogue import LARGEST_IMAGE_BYTES
from service.body.json_scanner import LONG, BodyScanner, ScannedBody, SkeletonTooLarge, Wanted
from service.http.caller_values import shown
from service.http.places import Places
from service.http.problems import Problem, too_large

#: What a large body holds besides its images is in memory, so it has a limit of its own. Bytes.
_LARGEST_SKELETON: Final = 1024 * 1024
#: So many bytes go to a thread at a time: much more than its start costs, little memory.
_BATCH: Final = 256 * 1024
#: Seconds within which each batch must come: a caller that dribbles would hold a place for hours.
_SLOWEST_BATCH: Final = 60.0
_RETRY_AFTER: Final = "5"  # seconds
#: Key of a request's scope that is set once its body came too slowly
#: (service/server/connection.py).
TOO_SLOW: Final = "fluxrelay.too_slow"


async def read_body(request: Request[Any], limit: int) -> bytes:
    """Return the body.

    Args:
        request: Whose.
        limit: Bytes; a larger one is refused by its stated length, or where it passes the limit.

    Raises:
        Problem: It is too large (413), compressed (415) or came too slowly (408).
    """
    body = bytearray()
    async for chunk in _stream(request, limit):
        body += chunk
    return bytes(body)


class BodyReader:
    """Reads bodies that may hold images.

    A small body has room for no long image, so it is read into memory and that is all. Where one
    gets larger, its images go into files as they come. Files and their clean-up can block, and
    decoding takes about a millisecond per batch, so all of it happens in threads.

    Args:
        limit: Bytes of the largest body.
        at_a_time: How many large bodies are taken in at a time. Each holds a thread and, for its
            images, files on disk; more of them wait, and are then sent away.
        images: The names of all fields that may be images.
    """

    def __init__(self, *, limit: int, at_a_time: int, images: Collection[str]) -> None:
        self._limit = limit
        # Meanwhile the caller of one that waits is not read from.
        self._places = Places(at_a_time, _busy)
        self._images = frozenset(images)

    @asynccontextmanager
    async def read(
        self, request: Request[Any], parents: tuple[str, ...] = ("input",)
    ) -> AsyncIterator[ScannedBody]:
        """Read a body; leaving the context removes its files and gives its place to the next.

        Args:
            request: Whose.
            parents: The fields that lead to the object which images stand in.

        Raises:
            Problem: It is too large (413), compressed (415), came too slowly (408), or there is no
                place (503).
        """
        stream = _stream(request, self._limit)
        head = bytearray()
        async for chunk in stream:
            head += chunk
            if len(head) > LONG:
                break
        else:
            yield ScannedBody(bytes(head), {}, ())
            return
        await self._places.take()
        try:
            scanner = BodyScanner(
                Wanted(self._images, parents),
                largest_skeleton=_LARGEST_SKELETON,
                largest_image=LARGEST_IMAGE_BYTES,
            )
            try:
                yield await _scan(stream, bytes(head), scanner)
            finally:
                await asyncio.shield(run_in_threadpool(scanner.close))
        finally:
            self._places.give_back()


async def _scan(stream: AsyncIterator[bytes], batch: bytes, scanner: BodyScanner) -> ScannedBody:
    try:
        while batch:
            await run_in_threadpool(scanner.feed, batch)
            batch = await _next_batch(stream)
    except SkeletonTooLarge:
        raise too_large(_LARGEST_SKELETON, "besides its images") from None
    except TimeoutError:
        detail = f"The body arrives too slowly: {_BATCH} bytes took over {_SLOWEST_BATCH:g} s"
        raise _hung_up(HTTPStatus.REQUEST_TIMEOUT, "too-slow", detail) from None
    except OSError as error:
        detail = f"The images cannot be stored here right now ({error.strerror}); try again later"
        raise _hung_up(HTTPStatus.SERVICE_UNAVAILABLE, "no-room", detail, retry=True) from error
    return scanner.end()


async def _next_batch(stream: AsyncIterator[bytes]) -> bytes:
    """Return about so many bytes, fewer at the end, none behind it."""
    chunks, size = [], 0
    async with asyncio.timeout(_SLOWEST_BATCH):
        async for chunk in stream:
            chunks.append(chunk)
            size += len(chunk)
            if size >= _BATCH:
                break
    return b"".join(chunks)


async def _stream(request: Request[Any], limit: int) -> AsyncIterator[bytes]:
    """Yield what comes, up to the limit."""
    encoding = request.headers.get("content-encoding")
    if encoding and encoding.strip().lower() != "identity":
        raise _encoded(encoding)
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > limit:
        raise too_large(limit)
    size = 0
    more = True
    while more:  # as `request.stream` does, without a generator in a generator
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        if not chunk and more and TOO_SLOW in request.scope:
            detail = (
                "The body took too long to arrive; send it faster, or send large images as URLs"
            )
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


def _busy() -> Problem:
    detail = "Too many large bodies are being received; try again a little later"
    return _hung_up(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, retry=True)


def _hung_up(status: HTTPStatus, kind: str, detail: str, *, retry: bool = False) -> Problem:
    """Return a problem that leaves the rest of the body unread."""
    headers = {"connection": "close"} | ({"retry-after": _RETRY_AFTER} if retry else {})
    return Problem(status, kind, detail, headers=headers)
