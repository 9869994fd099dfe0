"""`GET /v1/samples/{name}`: streams a job's result from our bucket to anyone with its signed link.

The link needs no header and is valid as long as the job's record. The bytes go from S3 to the
client in small chunks, read in threads, so no file is held in memory as a whole.
"""

import logging
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from core.errors import StorageUnavailable
from core.jobs.drop_in_views import file_name
from core.jobs.job import JobId
from core.log import event
from core.security.signatures import is_sample_signature
from core.storage.object_reader import ObjectReader
from core.storage.s3_errors import Archived
from service.drop_in.byte_ranges import Unsatisfiable, requested_range
from service.drop_in.errors import with_provider_errors
from service.http.problems import Problem
from service.http.query_parameters import only_value
from service.state import State

_log = logging.getLogger(__name__)

_CHUNK: Final = 64 * 1024  # bytes
_RETRY_AFTER: Final = "5"  # seconds
_DELETED: Final = "The file was deleted from the bucket"


@with_provider_errors
async def send_sample(request: Request[State]) -> Response:
    """Verify the link before any lookup, then send the file or the requested range."""
    name = request.path_params["name"]
    subject = name.rpartition(".")[0]
    masters = [master.reveal() for master in request.state["settings"].webhook_secrets]
    presented = (only_value(request.query_params, "sig") or "").encode(errors="replace")
    if not is_sample_signature(masters, subject, presented):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "wrong-signature",
            "The link's signature is invalid; ask get_result for a new link",
        )
    threads = request.state["sample_threads"]
    file = await threads.run(_find, request.state, name)
    size = file["bytes"]
    headers = {
        "content-type": file["content_type"],
        "etag": f'"{file["sha256"]}"',
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=3600",
        "x-content-type-options": "nosniff",
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
    return await _send(request.state, file, part, headers)


async def _send(
    state: State, file: dict[str, Any], part: tuple[int, int] | None, headers: dict[str, str]
) -> Response:
    size = file["bytes"]
    first, last = part or (0, size - 1)
    headers["content-length"] = str(last - first + 1)
    status = HTTPStatus.OK
    if part is not None:
        headers["content-range"] = f"bytes {first}-{last}/{size}"
        status = HTTPStatus.PARTIAL_CONTENT
    # A slow client holds a connection to S3, which takes an open file, for as long as it reads.
    await state["sample_places"].take()
    try:
        reader = await _opened(state, file["key"], first, last)
    except BaseException:
        state["sample_places"].give_back()
        raise
    return _ObjectStream(reader, last - first + 1, status, headers, state)


async def _opened(state: State, key: str, first: int, last: int) -> ObjectReader:
    try:
        return await state["sample_threads"].run(state["objects"].open, key, first, last)
    except KeyError:
        raise _missing(_DELETED) from None
    except Archived:
        detail = (
            "The file was moved to an archive storage class and cannot be read from there; "
            "whoever runs the bucket has to restore it"
        )
        raise Problem(HTTPStatus.CONFLICT, "archived-image", detail) from None


def too_many_samples() -> Problem:
    """Return the problem of a link that is followed while many others are slow to read."""
    detail = "Too many results are being sent; try again a little later"
    headers = {"retry-after": _RETRY_AFTER}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "busy", detail, headers=headers)


def _find(state: State, name: str) -> dict[str, Any]:
    """Return the stored file; raises a `Problem` unless the bucket holds it."""
    job = state["store"].load(JobId(name.partition(".")[0]))
    files = {file_name(job, artifact): artifact for artifact in job.artifacts} if job else {}
    if name not in files:
        raise _missing("There is no such file, or its job's record has expired")
    file = dict(files[name])
    found = state["objects"].head(file["key"])
    if found is None:
        raise _missing(_DELETED)
    if found.size != file["bytes"]:
        raise _missing("The file in the bucket was replaced by another object")
    return file


def _missing(detail: str) -> Problem:
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
        state: State,
    ) -> None:
        self._reader = reader
        self._threads = state["sample_threads"]
        self._places = state["sample_places"]
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
            self._places.give_back()
            self._reader.close()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while self._left:
            piece = await self._threads.run(self._reader.read, min(_CHUNK, self._left))
            if not piece:
                # The client notices the missing bytes by the Content-Length, and can resume.
                raise StorageUnavailable("S3 closed the connection in the middle of a file")
            self._left -= len(piece)
            yield piece
