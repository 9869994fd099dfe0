"""A body that arrives in one answer, or in several: an interrupted download goes on by `Range`.

It goes on only where the host named the version and the length of what it sends (RFC 9110 sections
13.1.5 and 14), and where nothing has to be decoded.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from hashlib import md5
from typing import IO, Any, Final

import httpx

from worker.clients.decoding import Decoder

_RANGE: Final = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", re.ASCII)
_LENGTH: Final = re.compile(r"\d{1,15}", re.ASCII)
_MD5_BYTES: Final = 16


@dataclass(slots=True, kw_only=True)
class Transfer:
    """What has arrived of a body."""

    file: IO[bytes]
    decoder: Decoder
    #: Bytes as they were sent, and how many there must be; None if that was not stated.
    came: int = 0
    total: int | None
    #: The checksum that the body must have.
    check: bytes | None
    #: The version of what is sent; empty if it cannot go on.
    version: str
    sent_as: Any = field(default_factory=lambda: md5(usedforsecurity=False))
    _came_before: int = 0

    @classmethod
    def begin(cls, response: httpx.Response, decoder: Decoder, file: IO[bytes]) -> "Transfer":
        """Return the transfer that a complete answer begins."""
        version = response.headers.get("etag", "").strip()
        ranges = response.headers.get("accept-ranges", "bytes").strip().lower()
        # A weak version may stand for other bytes (RFC 9110 section 8.8.1).
        usable = version.startswith('"') and ranges == "bytes" and not decoder.encoded
        return cls(
            file=file,
            decoder=decoder,
            total=stated_length(response),
            check=_content_md5(response.headers),
            version=version if usable else "",
        )

    def may_resume(self) -> bool:
        """Return whether to ask for the rest of an interrupted body: more came since last time."""
        known, before = bool(self.version), self._came_before
        self._came_before = self.came
        return known and before < self.came < (self.total or 0)

    def range_headers(self) -> dict[str, str]:
        """Return the headers that ask for the rest of this version, or for another as a whole."""
        return {"range": f"bytes={self.came}-", "if-range": self.version} if self.came else {}

    def goes_on_with(self, response: httpx.Response) -> bool:
        """Return whether an answer is the rest that was asked for."""
        if response.status_code != httpx.codes.PARTIAL_CONTENT or not self.came:
            return False
        first, _, total = _content_range(response.headers) or (0, 0, 0)
        same = response.headers.get("etag", self.version).strip() == self.version
        return same and (first, total) == (self.came, self.total)


def is_whole(response: httpx.Response) -> bool:
    """Return whether a ranged answer covers everything."""
    found = _content_range(response.headers)
    return found is not None and found[0] == 0 and found[1] + 1 == found[2]


def stated_length(response: httpx.Response) -> int | None:
    """Return how many bytes a complete answer says it has, as they are sent."""
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        found = _content_range(response.headers)
        return found[2] if found else None
    text = response.headers.get("content-length", "")
    return int(text) if _LENGTH.fullmatch(text) else None


def _content_range(headers: httpx.Headers) -> tuple[int, int, int] | None:
    """Return first and last byte and the total length of a `Content-Range`."""
    found = _RANGE.fullmatch(headers.get("content-range", "").strip())
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _content_md5(headers: httpx.Headers) -> bytes | None:
    """Return the stated checksum (RFC 1864; Azure "Get Blob"), or None if there is no valid one."""
    try:
        check = base64.b64decode(headers.get("content-md5", ""), validate=True)
    except (binascii.Error, ValueError):
        return None
    return check if len(check) == _MD5_BYTES else None
