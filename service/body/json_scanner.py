"""Reads a JSON text as it comes, and keeps long images out of memory.

What is left when the texts of long images are taken out is the skeleton: small, and JSON like the
whole, with a reference in the place of each. The reader `json.loads` then says whether it is
JSON, and where not. So this module need not be a judge of JSON: it is exact as long as the text
is valid, and after the first mistake nothing depends on what it makes of the rest.

* The skeleton holds the caller's bytes, one for one, but for the texts that were taken out.
* A text is taken out only once each piece of it was read as JSON, so an invalid one never is.
* A reference holds a random number of 128 bits, so no caller can write one.
"""

import codecs
import json
import re
import secrets
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Final

from service.body.inline_images import InlineImage

#: Texts longer than this go into a file; shorter ones stay where they are. Bytes.
LONG: Final = 64 * 1024
#: So many files one body may open; more long texts are left in the skeleton.
_MOST_IMAGES: Final = 16
_LONGEST_NAME: Final = 1024  # bytes of a field's name, as it is written
_QUOTE: Final = ord('"')
#: The rest of a string, up to its quote or to an escape that the next piece completes.
_STRING: Final = re.compile(rb'[^"\\]*+(?:\\(?:u.{4}|[^u])[^"\\]*+)*+', re.DOTALL)
_NO_BRACKET: Final = bytes(set(range(256)) - set(b"{}[]"))
_CONTROL: Final = bytes(range(32))  # which must be escaped in a string
_JSON_SPACE: Final = b" \t\n\r"


class SkeletonTooLarge(Exception):
    """There is too much besides the images."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where images stand: in one object of the body, below these names."""

    names: Collection[str]
    #: The fields that lead to the object; none where the body itself is the one.
    parents: tuple[str, ...] = ("input",)

    def __contains__(self, path: Sequence[str | None]) -> bool:
        return bool(path) and tuple(path[:-1]) == self.parents and path[-1] in self.names


@dataclass(frozen=True, slots=True)
class Gap:
    """A place where the skeleton is shorter than the body."""

    #: Bytes of the skeleton before it.
    at: int
    #: Characters that are missing here.
    characters: int


@dataclass(frozen=True, slots=True)
class ScannedBody:
    """A body that was read: what is left of it, and its images by their references."""

    skeleton: bytes
    images: Mapping[str, InlineImage]
    gaps: Sequence[Gap]


class BodyScanner:
    """Takes a body piece by piece; blocking, for it writes files. Close it, also after an error.

    Args:
        wanted: Which texts are images.
        largest_skeleton: Bytes of what is no image.
        largest_image: Bytes of one image that are kept.
        open_file: Opens a file that is gone once it is closed, or its process is.
    """

    def __init__(
        self,
        wanted: Wanted,
        *,
        largest_skeleton: int,
        largest_image: int,
        open_file: Callable[[], IO[bytes]] = tempfile.TemporaryFile,
    ) -> None:
        self._wanted = wanted
        self._largest_skeleton = largest_skeleton
        self._largest_image = largest_image
        self._open_file = open_file
        self._nonce = secrets.token_hex(16)
        self._skeleton = bytearray()
        self._images: dict[str, InlineImage] = {}
        self._gaps: list[Gap] = []
        self._state: Callable[[bytes, int], int] = self._between
        self._carry = b""
        self._between_from = 0
        self._string_from = 0
        #: How many objects and arrays are open, and the names that lead into them.
        self._depth = 0
        self._path: list[str | None] = []
        #: An image's text while it is short, and the image once it is long.
        self._held = bytearray()
        self._spooled: _Spooled | None = None

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            SkeletonTooLarge: There is too much besides the images.
            OSError: A file cannot be opened or written.
        """
        data, at = self._carry + piece, 0
        self._carry = b""
        while at < len(data):
            at = self._state(data, at)

    def end(self) -> ScannedBody:
        """Return the body; where it ends in the middle of a string, it is no JSON."""
        self._skeleton += self._held + self._carry
        return ScannedBody(bytes(self._skeleton), self._images, self._gaps)

    def close(self) -> None:
        """Remove the files."""
        for image in self._images.values():
            image.file.close()

    def _between(self, data: bytes, at: int) -> int:
        """Read what stands between two strings."""
        quote = data.find(b'"', at)
        if quote < 0:
            self._keep(data[at:])
            return len(data)
        self._keep(data[at : quote + 1])
        self._state = self._image if self._is_value_of_wanted() else self._string
        self._string_from = len(self._skeleton)
        return quote + 1

    def _is_value_of_wanted(self) -> bool:
        """Follow the brackets before a string, and say whether it is an image."""
        run = bytes(self._skeleton[self._between_from : -1])
        if run.lstrip(_JSON_SPACE).startswith(b":"):
            self._note_name(self._depth)
        lowest = self._depth
        for bracket in run.translate(None, _NO_BRACKET):
            self._depth += 1 if bracket in b"{[" else -1
            lowest = min(lowest, self._depth)
        del self._path[max(lowest, 0) :]
        named = len(self._path) == self._depth and run.strip(_JSON_SPACE) == b":"
        return named and self._path in self._wanted

    def _note_name(self, depth: int) -> None:
        """Remember the string that has just been read as the name at this depth."""
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
        """Read a string that stays where it is."""
        end, closed = self._end_of_string(data, at)
        self._keep(data[at:end])
        return self._close_string(end) if closed else len(data)

    def _image(self, data: bytes, at: int) -> int:
        """Read a string that is an image; while it is short it may stay where it is."""
        end, closed = self._end_of_string(data, at)
        piece = data[at:end]
        if self._spooled is None:
            self._held += piece
            if len(self._held) > LONG and len(self._images) < _MOST_IMAGES:
                piece = bytes(self._held)
                self._open()
            elif closed or len(self._held) > LONG:
                self._state = self._string
                self._keep(bytes(self._held))
                self._held.clear()
                return self._close_string(end) if closed else len(data)
        if self._spooled is not None:
            self._spool(self._spooled, piece, closed=closed)
            if closed and self._state == self._image:
                self._refer(self._spooled)
                return self._close_string(end)
        return len(data)

    def _end_of_string(self, data: bytes, at: int) -> tuple[int, bool]:
        """Return up to where the string is here, and whether its quote follows."""
        quote = data.find(b'"', at)
        end = quote if quote >= 0 else len(data)
        if data.find(b"\\", at, end) >= 0:  # rare, and the expression is slow
            match = _STRING.match(data, at)
            end = match.end() if match else at  # it always matches, if only nothing
        if end < len(data) and data[end] != _QUOTE:
            self._carry = data[end:]  # the beginning of an escape
            return end, False
        return end, end < len(data)

    def _close_string(self, quote: int) -> int:
        self._keep(b'"')
        self._between_from = len(self._skeleton)
        self._state = self._between
        return quote + 1

    def _open(self) -> None:
        image = InlineImage(self._open_file(), self._largest_image)
        self._images[f"{self._nonce}:{len(self._images)}"] = image
        self._spooled = _Spooled(image)
        self._held.clear()

    def _spool(self, spooled: "_Spooled", piece: bytes, *, closed: bool) -> None:
        """Decode the next piece of an image; leave a piece that is no JSON for `json.loads`."""
        text = ""
        try:
            text = spooled.utf8.decode(piece, closed)
            plain = text if _is_plain(piece) else json.loads(f'"{text}"')
        except ValueError as error:
            self._gaps.append(Gap(len(self._skeleton), spooled.characters))
            # The piece alone could be UTF-8 although the whole is not: what follows never is.
            self._skeleton += b"\xff" if isinstance(error, UnicodeDecodeError) else text.encode()
            self._state = self._ignore
        else:
            spooled.characters += len(text)
            spooled.image.feed(plain)

    def _refer(self, spooled: "_Spooled") -> None:
        """Put a reference in the place of an image that has ended."""
        spooled.image.end()
        reference = next(reversed(self._images)).encode()
        self._keep(reference)
        self._gaps.append(Gap(len(self._skeleton), spooled.characters - len(reference)))
        self._spooled = None

    def _ignore(self, data: bytes, _at: int) -> int:
        """Read past what comes after a mistake."""
        return len(data)

    def _keep(self, piece: bytes) -> None:
        self._skeleton += piece
        if len(self._skeleton) > self._largest_skeleton:
            raise SkeletonTooLarge


def _is_plain(piece: bytes) -> bool:
    """Say whether a part of a string reads as it is written, which is much the usual case."""
    return b"\\" not in piece and len(piece.translate(None, _CONTROL)) == len(piece)


class _Spooled:
    """An image that goes into a file.

    Attributes:
        image: What is made of it.
        utf8: Holds back a character that the next piece completes.
        characters: How many of the body it has taken so far.
    """

    def __init__(self, image: InlineImage) -> None:
        self.image = image
        self.utf8 = codecs.getincrementaldecoder("utf-8")()
        self.characters = 0
