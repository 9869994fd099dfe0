"""Scans JSON while it arrives and moves long base64 into files.

Without the long texts, a small skeleton remains: JSON like the whole, with a reference in place of
each file. `json.loads` then decides whether the skeleton is valid JSON. So this module need not
validate: it is exact for valid JSON, and after the first error its output no longer matters.

* The skeleton holds the caller's bytes unchanged, except for the removed texts.
* A text is removed only if each piece of it parsed as JSON, so an invalid one never is.
* A reference contains a random number of 128 bits, so no caller can forge one.
"""

import codecs
import json
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Final

from service.body.inline_files import InlineFile

#: Longer texts are moved into a file; in bytes.
LONG: Final = 64 * 1024
#: Most files per body; further long texts stay in the skeleton.
_MOST_FILES: Final = 16
_LONGEST_NAME: Final = 1024  # bytes of a field's name, as encoded
_QUOTE: Final = ord('"')
#: The rest of a string, up to its quote or to an incomplete escape.
_STRING: Final = re.compile(rb'[^"\\]*+(?:\\(?:u.{4}|[^u])[^"\\]*+)*+', re.DOTALL)
_NO_BRACKET: Final = bytes(set(range(256)) - set(b"{}[]"))
_CONTROL: Final = bytes(range(32))  # must be escaped in a string
_JSON_SPACE: Final = b" \t\n\r"


class SkeletonTooLarge(Exception):
    """The body is too large apart from its files."""


@dataclass(frozen=True, slots=True)
class FileField:
    """How a field holds files."""

    #: Most bytes kept of a file.
    largest: int
    #: Number of arrays that may be around a file.
    arrays: int = 0


@dataclass(frozen=True, slots=True)
class FileFields:
    """The location of files: one object of the body, and the names in it."""

    fields: Mapping[str, FileField]
    #: Path to the object; empty for the body itself.
    parents: tuple[str, ...] = ("input",)

    def at(self, path: Sequence[str | None]) -> FileField | None:
        """Return the field at a path of names; None if it holds no files."""
        if tuple(path[:-1]) != self.parents or not path:
            return None
        return self.fields.get(path[-1] or "")


@dataclass(frozen=True, slots=True)
class Gap:
    """A position where the skeleton is shorter than the body."""

    #: Offset in the skeleton in bytes.
    at: int
    #: Number of missing characters.
    characters: int


@dataclass(frozen=True, slots=True)
class ScannedBody:
    """A complete body: its skeleton, and its files by their references."""

    skeleton: bytes
    files: Mapping[str, InlineFile]
    gaps: Sequence[Gap]


class BodyScanner:
    """Scans a body piece by piece; blocking, because it writes files. Always close it.

    Args:
        wanted: Location of the files.
        largest_skeleton: Most bytes besides files.
        open_file: Opens a file that is deleted when it is closed or the process dies.
    """

    def __init__(
        self,
        wanted: FileFields,
        *,
        largest_skeleton: int,
        open_file: Callable[[], IO[bytes]] = tempfile.TemporaryFile,
    ) -> None:
        self._wanted = wanted
        self._largest_skeleton = largest_skeleton
        self._open_file = open_file
        self._nonce = secrets.token_hex(16)
        self._skeleton = bytearray()
        self._files: dict[str, InlineFile] = {}
        self._gaps: list[Gap] = []
        self._state: Callable[[bytes, int], int] = self._between
        self._carry = b""
        self._between_from = 0
        self._string_from = 0
        #: Brackets of the open objects and arrays, and the names that lead into them.
        self._brackets = bytearray()
        self._path: list[str | None] = []
        #: The field of a file; its text while it is short, and the file once it is long.
        self._field: FileField | None = None
        self._held = bytearray()
        self._spooled: _Spooled | None = None

    def feed(self, piece: bytes) -> None:
        """Scan the next piece.

        Raises:
            SkeletonTooLarge: The body is too large apart from its files.
            OSError: A file cannot be opened or written.
        """
        data, at = self._carry + piece, 0
        self._carry = b""
        while at < len(data):
            at = self._state(data, at)

    def end(self) -> ScannedBody:
        """Return the body; if it ends inside a string, it is not valid JSON."""
        self._skeleton += self._held + self._carry
        return ScannedBody(bytes(self._skeleton), self._files, self._gaps)

    def close(self) -> None:
        """Delete the files."""
        for inline in self._files.values():
            inline.file.close()

    def _between(self, data: bytes, at: int) -> int:
        """Scan the text between two strings."""
        quote = data.find(b'"', at)
        if quote < 0:
            self._keep(data[at:])
            return len(data)
        self._keep(data[at : quote + 1])
        self._field = self._field_of_string()
        self._state = self._file if self._field else self._string
        self._string_from = len(self._skeleton)
        return quote + 1

    def _field_of_string(self) -> FileField | None:
        """Track the brackets before a string; return the field if the string is a file of it."""
        run = bytes(self._skeleton[self._between_from : -1])
        if run.lstrip(_JSON_SPACE).startswith(b":"):
            self._note_name(len(self._brackets))
        for bracket in run.translate(None, _NO_BRACKET):
            if bracket in b"{[":
                self._brackets.append(bracket)
            else:
                del self._brackets[-1:]
                del self._path[len(self._brackets) :]
        field = self._wanted.at(self._path)
        arrays = self._brackets[len(self._path) :]
        if field is None or len(arrays) > field.arrays or arrays.strip(b"["):
            return None
        # Directly in an object, a string is a value only behind its name.
        return field if arrays or run.strip(_JSON_SPACE) == b":" else None

    def _note_name(self, depth: int) -> None:
        """Record the last string as the name at this depth."""
        if not 0 < depth <= len(self._wanted.parents) + 1:
            return
        raw = bytes(self._skeleton[self._string_from : self._between_from - 1])
        try:
            name = json.loads(b'"%b"' % raw) if len(raw) <= _LONGEST_NAME else None
        except ValueError:
            name = None
        self._path += [None] * (depth - len(self._path))
        self._path[depth - 1] = name

    def _string(self, data: bytes, at: int) -> int:
        """Scan a string that stays in the skeleton."""
        end, closed = self._end_of_string(data, at)
        self._keep(data[at:end])
        return self._close_string(end) if closed else len(data)

    def _file(self, data: bytes, at: int) -> int:
        """Scan a file's string, which stays in the skeleton if it is short."""
        end, closed = self._end_of_string(data, at)
        piece = data[at:end]
        if self._spooled is None:
            self._held += piece
            if self._field and len(self._held) > LONG and len(self._files) < _MOST_FILES:
                piece = bytes(self._held)
                self._open(self._field)
            elif closed or len(self._held) > LONG:
                self._state = self._string
                self._keep(bytes(self._held))
                self._held.clear()
                return self._close_string(end) if closed else len(data)
        if self._spooled is not None:
            self._spool(self._spooled, piece, closed=closed)
            if closed and self._state == self._file:
                self._refer(self._spooled)
                return self._close_string(end)
        return len(data)

    def _end_of_string(self, data: bytes, at: int) -> tuple[int, bool]:
        """Return where the string ends in this piece, and whether its quote follows."""
        quote = data.find(b'"', at)
        end = quote if quote >= 0 else len(data)
        if data.find(b"\\", at, end) >= 0:  # rare, and the regex is slow
            match = _STRING.match(data, at)
            end = match.end() if match else at  # always matches, possibly empty
        if end < len(data) and data[end] != _QUOTE:
            self._carry = data[end:]  # an incomplete escape
            return end, False
        return end, end < len(data)

    def _close_string(self, quote: int) -> int:
        self._keep(b'"')
        self._between_from = len(self._skeleton)
        self._state = self._between
        return quote + 1

    def _open(self, field: FileField) -> None:
        inline = InlineFile(self._open_file(), field.largest)
        self._files[f"{self._nonce}:{len(self._files)}"] = inline
        self._spooled = _Spooled(inline)
        self._held.clear()

    def _spool(self, spooled: "_Spooled", piece: bytes, *, closed: bool) -> None:
        """Decode the next piece of a file; an invalid piece stays for `json.loads` to reject."""
        text = ""
        try:
            text = spooled.utf8.decode(piece, closed)
            plain = text if _is_plain(piece) else json.loads(f'"{text}"')
        except ValueError as error:
            self._gaps.append(Gap(len(self._skeleton), spooled.characters))
            # The piece alone could be valid UTF-8 although the whole is not; this byte never is.
            self._skeleton += b"\xff" if isinstance(error, UnicodeDecodeError) else text.encode()
            self._state = self._ignore
        else:
            spooled.characters += len(text)
            spooled.inline.feed(plain)

    def _refer(self, spooled: "_Spooled") -> None:
        """Insert the reference of a complete file."""
        spooled.inline.end()
        reference = next(reversed(self._files)).encode()
        self._keep(reference)
        self._gaps.append(Gap(len(self._skeleton), spooled.characters - len(reference)))
        self._spooled = None

    def _ignore(self, data: bytes, _at: int) -> int:
        """Skip everything after an error."""
        return len(data)

    def _keep(self, piece: bytes) -> None:
        self._skeleton += piece
        if len(self._skeleton) > self._largest_skeleton:
            raise SkeletonTooLarge


def _is_plain(piece: bytes) -> bool:
    """Return whether a part of a string needs no unescaping, the usual case."""
    return b"\\" not in piece and len(piece.translate(None, _CONTROL)) == len(piece)


class _Spooled:
    """A text that goes into a file.

    Attributes:
        inline: The decoded file.
        utf8: Decoder that buffers an incomplete character.
        characters: Characters of the body consumed so far.
    """

    def __init__(self, inline: InlineFile) -> None:
        self.inline = inline
        self.utf8 = codecs.getincrementaldecoder("utf-8")()
        self.characters = 0
