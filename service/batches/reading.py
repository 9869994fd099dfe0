"""Reads the body of `POST /v1/batches` as it comes, into temporary files."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from service.batches.json_document import JsonDocument
from service.batches.json_lines import JsonLines
from service.batches.spooled_items import IN_DEFAULTS, ReadBatch, SpooledItems
from service.body.json_scanner import FileField, SkeletonTooLarge
from service.body.request_body import LARGEST_SKELETON, BodyReader, pour
from service.http.places import LaterPlace
from service.http.problems import Problem, too_large

#: Media types of one JSON text per line; any other body is one JSON document.
_LINES: Final = {"application/x-ndjson", "application/ndjson", "application/jsonl"}


class BatchReader:
    """Reads batches.

    Args:
        bodies: Gives each large one its place among the large bodies.
        files: All fields that may hold files, by name.
        most_bytes: Most bytes of a body.
        most_items: Most items.
    """

    def __init__(
        self,
        bodies: BodyReader,
        files: Mapping[str, FileField],
        *,
        most_bytes: int,
        most_items: int,
    ) -> None:
        self._bodies = bodies
        self._files = files
        self._most_bytes = most_bytes
        self._most_items = most_items

    @asynccontextmanager
    async def read(self, request: Request[Any], tenant: str) -> AsyncIterator[ReadBatch]:
        """Read a body; leaving the context deletes its temporary files and frees its place.

        Args:
            request: The request.
            tenant: Whose batch it is.

        Raises:
            Problem: It is too large (413), compressed (415), came too slowly (408), has too many
                items (413), or there is no room for it (503).
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        with self._bodies.places.later(tenant) as place:
            spooled = SpooledItems(self._files, self._most_items)
            try:
                if kind in _LINES:
                    yield await self._lines(request, spooled, place)
                else:
                    yield await self._document(request, spooled, place)
            finally:
                await run_in_threadpool(spooled.close)

    async def _lines(
        self, request: Request[Any], spooled: SpooledItems, place: LaterPlace
    ) -> ReadBatch:
        lines = JsonLines(spooled)
        await pour(request, self._most_bytes, lines.feed, place)
        lines.end()
        return ReadBatch(None, is_document=False, items=spooled, place=place)

    async def _document(
        self, request: Request[Any], spooled: SpooledItems, place: LaterPlace
    ) -> ReadBatch:
        envelope = spooled.scanner(IN_DEFAULTS)
        document = JsonDocument(spooled, envelope.feed)
        await pour(request, self._most_bytes, partial(_feed, document), place)
        document.end()
        if document.is_broken:
            raise _no_document("its brackets and commas do not match")
        return ReadBatch(envelope.end(), is_document=True, items=spooled, place=place)


def _feed(document: JsonDocument, piece: bytes) -> None:
    """Hand a piece over to a document, whose items say themselves which is too large."""
    try:
        document.feed(piece)
    except SkeletonTooLarge:
        if not document.has_several:
            raise too_large(LARGEST_SKELETON, "besides its items and files") from None
    if document.has_several:
        raise _no_document("it holds several JSON texts")


def _no_document(cause: str) -> Problem:
    detail = (
        f"The body is not valid JSON: {cause}; send one JSON object, or one item per line with "
        "Content-Type: application/x-ndjson (curl keeps line breaks with --data-binary, not with "
        "-d)"
    )
    return Problem(HTTPStatus.BAD_REQUEST, "invalid-json", detail)
