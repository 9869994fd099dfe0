"""The body of a submit, generated while it is sent, so that no file is in memory as a whole."""

import base64
import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.errors import StorageUnavailable, Transient
from core.jobs.input_places import with_values

_GROUP: Final = 3  # bytes per four characters of base64
#: Begins the text that stands for a file until the JSON is cut there; nobody can guess it.
_MARK: Final = secrets.token_hex(16)
_MARKS: Final = re.compile(f"({_MARK}[0-9]+:)")


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is read when it is sent."""

    size: int  # bytes
    #: Returns the bytes from the start, in chunks.
    chunks: Callable[[], Iterable[bytes]]

    @property
    def encoded_size(self) -> int:
        """Length as base64, in characters."""
        return (self.size + _GROUP - 1) // _GROUP * 4

    def encoded(self) -> Iterator[bytes]:
        """Yield the file as base64.

        Raises:
            StorageUnavailable: It cannot be read, or its size has changed.
            Permanent: It is missing.
        """
        rest, size = b"", 0
        for chunk in self.chunks():
            size += len(chunk)
            data = rest + chunk
            whole = len(data) - len(data) % _GROUP
            rest = data[whole:]
            yield base64.b64encode(data[:whole])
        if size != self.size:
            raise StorageUnavailable(f"an input has {size} bytes instead of {self.size}")
        yield base64.b64encode(rest)


class Payload:
    """A JSON object whose length is known before its files are read; iterate over it once.

    Args:
        fields: Its members, apart from the files.
        files: Files to encode as base64, by their places (`core.jobs.input_places`).
        seconds: Time limit for sending.

    Attributes:
        length: Length in bytes.
        handed_over_at: `time.monotonic()` just before the last part was sent; None until then.
            Without that part the body is invalid JSON and shorter than its stated length, so as
            long as this is None no server can have accepted the request.
    """

    def __init__(
        self, fields: Mapping[str, Any], files: Mapping[str, Source], *, seconds: float
    ) -> None:
        marks = {place: f"{_MARK}{number}:" for number, place in enumerate(files)}
        sources = dict(zip(marks.values(), files.values(), strict=True))
        *parts, last = _MARKS.split(json.dumps(with_values(fields, marks)))
        self._parts = [sources.get(part) or part.encode() for part in parts]
        self._last = last.encode()
        self._seconds = seconds
        sizes = (p.encoded_size if isinstance(p, Source) else len(p) for p in self._parts)
        self.length = sum(sizes) + len(self._last)
        self.handed_over_at: float | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body.

        Raises:
            Transient: Sending takes too long, or a file cannot be read now.
            Permanent: A file is missing.
        """
        give_up_at = time.monotonic() + self._seconds
        for part in self._parts:
            for chunk in part.encoded() if isinstance(part, Source) else [part]:
                yield chunk
                if time.monotonic() > give_up_at:
                    raise Transient(f"sending the files took longer than {self._seconds:g} s")
        self.handed_over_at = time.monotonic()
        yield self._last
