"""The body of a submit, made while it is sent: images never lie in memory whole."""

import base64
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.errors import StorageUnavailable, Transient

_GROUP: Final = 3  # bytes that make four characters of base64


@dataclass(frozen=True, slots=True)
class Source:
    """An image that is read when its turn comes."""

    size: int  # bytes
    #: Returns its bytes from the first on, in chunks.
    chunks: Callable[[], Iterable[bytes]]

    @property
    def encoded_size(self) -> int:
        """Characters of it as base64."""
        return (self.size + _GROUP - 1) // _GROUP * 4

    def encoded(self) -> Iterator[bytes]:
        """Yield it as base64.

        Raises:
            StorageUnavailable: It cannot be read, or has another size by now.
            Permanent: It is gone.
        """
        rest, size = b"", 0
        for chunk in self.chunks():
            size += len(chunk)
            data = rest + chunk
            whole = len(data) - len(data) % _GROUP
            rest = data[whole:]
            yield base64.b64encode(data[:whole])
        if size != self.size:
            raise StorageUnavailable(f"an input came with {size} bytes instead of {self.size}")
        yield base64.b64encode(rest)


class Payload:
    """A JSON object whose length is known before its images are read; iterate over it once.

    Args:
        fields: What it holds besides images.
        images: What goes in as base64, by field.
        seconds: How long sending may take.

    Attributes:
        length: Bytes.
        handed_over_at: `time.monotonic()` when the last part was about to be sent; None before.
            Without that part the text is no JSON and is shorter than its stated length, so as
            long as this is None nobody can have taken the request for a whole one.
    """

    def __init__(
        self, fields: Mapping[str, Any], images: Mapping[str, Source], *, seconds: float
    ) -> None:
        self._parts: list[bytes | Source] = []
        opening = "{"
        for name, source in images.items():
            self._parts += [f'{opening}{json.dumps(name)}: "'.encode(), source]
            opening = '", '
        text = json.dumps(fields)
        if images:
            text = opening + text[1:] if fields else '"}'
        self._last = text.encode()
        self._seconds = seconds
        sizes = (p.encoded_size if isinstance(p, Source) else len(p) for p in self._parts)
        self.length = sum(sizes) + len(self._last)
        self.handed_over_at: float | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the body.

        Raises:
            Transient: It takes too long, or an image cannot be read now.
            Permanent: An image is gone.
        """
        give_up_at = time.monotonic() + self._seconds
        for part in self._parts:
            for chunk in part.encoded() if isinstance(part, Source) else [part]:
                yield chunk
                if time.monotonic() > give_up_at:
                    raise Transient(f"sending the images took longer than {self._seconds:g} s")
        self.handed_over_at = time.monotonic()
        yield self._last
