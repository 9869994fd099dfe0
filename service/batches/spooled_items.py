"""Items of a batch on disk, as they came: their JSON, and apart from it the files in them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Protocol

from service.batches.spool import Spool
from service.body.inline_files import InlineFile
from service.body.json_scanner import (
    BodyScanner,
    FileField,
    FileFields,
    Gap,
    ScannedBody,
    SkeletonTooLarge,
)
from service.body.request_body import LARGEST_SKELETON
from service.http.places import LaterPlace
from service.http.problems import Problem, too_large

#: Where an item's files are; in the options of NDJSON, which may stand in the first line, and in
#: the envelope of a JSON document, they are deeper.
_IN_ITEM: Final = ("input",)
IN_DEFAULTS: Final = ("defaults", "input")


class ItemSink(Protocol):
    """Takes the bytes of one item after the other."""

    def begin(self, line: int) -> None:
        """Begin an item; `line` is its line, or its position in the array, from 1."""

    def feed(self, part: bytes) -> None:
        """Take the next bytes of the item."""

    def end(self) -> None:
        """Finish the item."""


@dataclass(frozen=True, slots=True)
class FirstLineFields(FileFields):
    """Where files are in a line that may be an item or the options."""

    def at(self, path: Sequence[str | None]) -> FileField | None:
        """Return the field at a path of names; None if it holds no files."""
        if tuple(path[:-1]) not in (_IN_ITEM, IN_DEFAULTS):
            return None
        return self.fields.get(path[-1] or "")


@dataclass(frozen=True, slots=True)
class SpooledItem:
    """One item as it came."""

    line: int
    #: Place of its skeleton in the spool, and its size.
    at: int
    size: int
    gaps: Sequence[Gap]
    #: Its files by the references that stand in their place.
    files: Mapping[str, InlineFile]


@dataclass(slots=True)
class SpooledItems:
    """Takes items in, and gives them back one by one.

    Args:
        files: All fields that may hold files, by name.
        most: Most items.
    """

    files: Mapping[str, FileField]
    most: int
    texts: Spool = field(default_factory=Spool)
    #: The bytes of the files in them.
    contents: Spool = field(default_factory=Spool)
    items: list[SpooledItem] = field(default_factory=list)
    _line: int = 0
    _scanner: BodyScanner | None = None

    def scanner(self, parents: tuple[str, ...]) -> BodyScanner:
        """Return a scanner whose files go into the spool."""
        return self._scanner_of(FileFields(self.files, parents))

    def begin(self, line: int) -> None:
        """Begin an item.

        Raises:
            Problem: There are too many.
        """
        if len(self.items) > self.most:  # one line may be the options
            raise too_many(self.most)
        first = FirstLineFields(self.files, IN_DEFAULTS)
        self._line = line
        self._scanner = self._scanner_of(FileFields(self.files, _IN_ITEM) if self.items else first)

    def feed(self, part: bytes) -> None:
        """Take the next bytes of the item.

        Raises:
            Problem: It is too large apart from its files.
        """
        if self._scanner:
            try:
                self._scanner.feed(part)
            except SkeletonTooLarge:
                what = f"has an item (at line or position {self._line}) that, besides its files,"
                raise too_large(LARGEST_SKELETON, what) from None

    def end(self) -> None:
        """Finish the item."""
        if self._scanner:
            scanned = self._scanner.end()
            at, size = self.texts.append(scanned.skeleton)
            item = SpooledItem(self._line, at, size, scanned.gaps, scanned.files)
            self.items.append(item)
            self._scanner = None

    def skeleton(self, item: SpooledItem) -> bytes:
        """Return an item's JSON, with references in place of its files."""
        return self.texts.read(item.at, item.size)

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self.texts.size + self.contents.size

    def __iter__(self) -> Iterator[SpooledItem]:
        return iter(self.items)

    def close(self) -> None:
        """Delete everything."""
        self.texts.close()
        self.contents.close()

    def _scanner_of(self, fields: FileFields) -> BodyScanner:
        return BodyScanner(fields, largest_skeleton=LARGEST_SKELETON, open_file=self.contents.open)


def too_many(most: int) -> Problem:
    """Return the problem of a batch with too many items."""
    detail = f"The batch has more than {most} items; send several batches"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return Problem(status, "too-many-items", detail, headers={"connection": "close"})


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """A batch whose body is complete, and not checked yet."""

    #: The options and defaults; None if there are none.
    envelope: ScannedBody | None
    #: Whether it came as one JSON document.
    is_document: bool
    items: SpooledItems
    #: Its place among the large bodies, not taken yet if it is small.
    place: LaterPlace
