"""Sends a stored file from our bucket: whole, in part, or only its headers.

The bytes go from S3 to the client in small chunks, read in threads, so no file is held in memory as
a whole.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from core.errors import StorageUnavailable
from core.log import event
from core.storage.object_bytes import ObjectReader
from core.storage.s3_errors import Archived
from service.files.byte_ranges import Unsatisfiable, requested_range
from service.http.places import LaterPlace
from service.http.problems import Problem
from service.intake.storage_threads import ThreadPool
from service.state import State

_log = logging.getLogger(__name__)

_CHUNK: Final = 64 * 1024  # bytes
_RETRY_AFTER: Final = "5"  # seconds
_DELETED: Final = "The file was deleted from the bucket"


def check_stored(state: State, artifact: Mapping[str, Any]) -> None:
    """Check that the bucket holds a file of a result; blocking.

    Raises:
        Problem: 404; it was deleted or replaced.
        StorageUnavailable: S3 is unreachable.
    """
    found = state["objects"].head(artifact["key"])
    if found is None:
        raise missing(_DELETED)
    if found.size != artifact["bytes"]:
        raise missing("The file in the bucket was replaced by another object")


async def send_file(
    request: Request[State],
    tenant: str,
    artifact: Mapping[str, Any],
    more_headers: Mapping[str, str],
) -> Response:
    """Answer a GET or HEAD with a file of a result, or the requested range of it.

    Args:
        request: The request; its `Range`, `If-Range` and `If-None-Match` count.
        tenant: Whose file it is.
        artifact: The file, which `check_stored` has found.
        more_headers: Headers of the answer beside those about the file.

    Raises:
        Problem: It cannot be sent.
        StorageUnavailable: S3 is unreachable.
    """
    size = artifact["bytes"]
    headers = {
        "content-type": artifact["content_type"],
        "etag": f'"{artifact["sha256"]}"',
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
        **more_headers,
    }
    if request.method == "HEAD":
        return Response(headers=headers | {"content-length": str(size)})
    if _is_known(request, headers["etag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    try:
        part = requested_range(_range(request, headers["etag"]), size)
    except Unsatisfiable:
        headers = {"content-range": f"bytes */{size}", "accept-ranges": "bytes"}
        return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    place = LaterPlace(request.state["sample_places"], tenant)
    return await _send(request.state, place, artifact, part, headers)


async def _send(
    state: State,
    place: LaterPlace,
    artifact: Mapping[str, Any],
    part: tuple[int, int] | None,
    headers: dict[str, str],
) -> Response:
    size = artifact["bytes"]
    first, last = part or (0, size - 1)
    headers["content-length"] = str(last - first + 1)
    status = HTTPStatus.OK
    if part is not None:
        headers["content-range"] = f"bytes {first}-{last}/{size}"
        status = HTTPStatus.PARTIAL_CONTENT
    # A slow client holds a connection to S3, which takes an open file, for as long as it reads.
    await place.take()
    try:
        reader = await _opened(state, artifact["key"], first, last)
    except BaseException:
        place.give_back()
        raise
    threads = state["sample_threads"]
    return _ObjectStream(reader, last - first + 1, status, headers, threads=threads, place=place)


async def _opened(state: State, key: str, first: int, last: int) -> ObjectReader:
    try:
        return await state["sample_threads"].run(state["objects"].open, key, first, last)
    except KeyError:
        raise missing(_DELETED) from None
    except Archived:
        detail = (
            "The file was moved to an archive storage class and cannot be read from there; "
            "whoever runs the bucket has to restore it"
        )
        raise Problem(HTTPStatus.CONFLICT, "archived-image", detail) from None


def too_many_files(most: int, each: int) -> Problem:
    """Return the problem of a file that is asked for while many others are slow to read.

    Args:
        most: How many may be sent at a time.
        each: How many of one tenant.
    """
    detail = (
        f"Too many results are being sent: {most} at a time by this process, {each} of one "
        "caller; try again a little later"
    )
    headers = {"retry-after": _RETRY_AFTER}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, headers=headers)


def missing(detail: str) -> Problem:
    """Return the problem of a file that is not there."""
    return Problem(HTTPStatus.NOT_FOUND, "no-such-image", detail)


def _is_known(request: Request[State], etag: str) -> bool:
    tags = request.headers.get("if-none-match", "").split(",")
    return any(tag.strip().removeprefix("W/") in ("*", etag) for tag in tags)


def _range(request: Request[State], etag: str) -> str | None:
    """Return the Range header, unless it applies to another version (RFC 9110 13.1.5)."""
    condition = request.headers.get("if-range")
    return request.headers.get("range") if condition in (None, etag) else None


class _ObjectStream(StreamingResponse):
    """Streams an S3 object; always closes it and frees its place."""

    def __init__(
        self,
        reader: ObjectReader,
        length: int,
        status: HTTPStatus,
        headers: dict[str, str],
        *,
        threads: ThreadPool,
        place: LaterPlace,
    ) -> None:
        self._reader = reader
        self._threads = threads
        self._place = place
        self._left = length
        super().__init__(self._pieces(), status.value, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except StorageUnavailable as error:
            # The client sees by the stated length that something is missing, and can go on.
            reason, path = str(error), scope["path"]
            event(_log, "request.broken_off", logging.WARNING, path=path, reason=reason)
        finally:
            self._place.give_back()
            self._reader.close()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while self._left:
            piece = await self._threads.run(self._reader.read, min(_CHUNK, self._left))
            if not piece:
                # The client notices the missing bytes by the Content-Length, and can resume.
                raise StorageUnavailable("S3 closed the connection in the middle of a file")
            self._left -= len(piece)
            yield piece
