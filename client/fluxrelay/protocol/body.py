"""Bodies of requests: JSON that may hold files, and files as they are.

Files are read when the body is sent, in pieces, and anew for each attempt. So neither a large file
nor its base64 text is ever in memory as a whole.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeGuard

#: Content that a caller gives: a path, bytes, or a file that is open for reading bytes.
File = os.PathLike[str] | bytes | IO[bytes]
#: Bytes read at once; a multiple of three, so that pieces of base64 can be joined.
_PIECE = 3 * 64 * 1024


@dataclass(frozen=True)
class FilePart:
    """A part of a body that comes from a file: one of a path, or an open one that can seek."""

    source: Path | IO[bytes]
    start: int
    size: int
    as_base64: bool

    @property
    def length(self) -> int:
        """Return the number of bytes to send."""
        return (self.size + 2) // 3 * 4 if self.as_base64 else self.size

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes to send.

        Raises:
            OSError: The file cannot be read, or has become shorter.
        """
        if isinstance(self.source, Path):
            with self.source.open("rb") as file:
                yield from self._pieces(file)
        else:
            self.source.seek(self.start)
            yield from self._pieces(self.source)

    def _pieces(self, file: IO[bytes]) -> Iterator[bytes]:
        left = self.size
        while left:
            piece = _read_fully(file, min(_PIECE, left))
            if not piece:
                raise OSError(f"{self.source} became shorter while it was sent")
            left -= len(piece)
            yield base64.b64encode(piece) if self.as_base64 else piece


@dataclass(frozen=True)
class Body:
    """A body that can be sent several times."""

    content_type: str
    parts: tuple[bytes | FilePart, ...]

    @property
    def length(self) -> int:
        """Return the number of bytes to send."""
        return sum(len(p) if isinstance(p, bytes) else p.length for p in self.parts)

    @property
    def in_memory(self) -> bytes | None:
        """Return the whole body if no part of it comes from a file."""
        parts = [part for part in self.parts if isinstance(part, bytes)]
        return b"".join(parts) if len(parts) == len(self.parts) else None

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes to send."""
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part.pieces()


def json_body(value: object) -> Body:
    """Return a JSON body, in which files stand as base64 text.

    A file is a path (`pathlib.Path`), bytes, or a file that is open for reading bytes.

    Raises:
        OSError: A file cannot be read.
        TypeError: The value holds something that JSON cannot.
        ValueError: The value holds a number that JSON cannot.
    """
    return Body("application/json", tuple(_json_parts(value)))


def ndjson_body(values: Iterable[Mapping[str, Any]]) -> Body:
    """Return a body with one JSON value per line, each of which may hold files."""
    parts: list[bytes | FilePart] = []
    for value in values:
        parts += _json_parts(value)
        parts.append(b"\n")
    return Body("application/x-ndjson", tuple(_joined(parts)))


def file_body(content_type: str, source: File, before: bytes = b"") -> Body:
    """Return a body that is a file as it is, after some bytes of ours."""
    if isinstance(source, bytes):
        return Body(content_type, (before, source))
    return Body(content_type, (before, _file_part(source, as_base64=False)))


def is_file(value: object) -> TypeGuard[File]:
    """Tell whether a value is a file: a path, bytes, or one that is open."""
    kinds = (os.PathLike, bytes, bytearray, memoryview)
    return isinstance(value, kinds) or hasattr(value, "read")


def _json_parts(value: object) -> Iterator[bytes | FilePart]:
    """Yield JSON text, and the files that stand in it."""
    mark = secrets.token_hex(16)  # nothing that a caller sends can hold it
    files: list[FilePart] = []

    def placeholder(item: Any) -> str:
        if not is_file(item):
            raise TypeError(f"a {type(item).__name__} cannot be sent as JSON")
        files.append(_file_part(item, as_base64=True))
        return f"{mark}{len(files) - 1}:"

    text = json.dumps(value, default=placeholder, allow_nan=False, separators=(",", ":"))
    pieces = re.split(rf"{mark}(\d+):", text)
    for number, piece in enumerate(pieces):
        yield files[int(piece)] if number % 2 else piece.encode()


def _file_part(source: Any, *, as_base64: bool) -> FilePart:
    if isinstance(source, os.PathLike):
        path = Path(os.fspath(source))
        return FilePart(path, 0, path.stat().st_size, as_base64)
    if isinstance(source, bytes | bytearray | memoryview):
        source = io.BytesIO(source)
    if isinstance(source, io.TextIOBase):
        raise TypeError("a file must be open for reading bytes: open(name, 'rb')")
    start = 0
    if source.seekable():
        start = source.tell()
        size = source.seek(0, os.SEEK_END) - start
        source.seek(start)
    else:  # else it could be sent once alone
        content = source.read()
        source, size = io.BytesIO(content), len(content)
    return FilePart(source, start, size, as_base64)


def _joined(parts: Iterable[bytes | FilePart]) -> Iterator[bytes | FilePart]:
    """Join neighbouring bytes."""
    text: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            text.append(part)
        else:
            yield b"".join(text)
            text.clear()
            yield part
    yield b"".join(text)


def _read_fully(file: IO[bytes], size: int) -> bytes:
    """Read `size` bytes, for a raw file may return fewer before its end."""
    pieces: list[bytes] = []
    while size:
        piece = file.read(size)
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
