"""Reads which part of a file a request asks for (RFC 9110, section 14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


class UnsatisfiableRangeError(Exception):
    """The part begins behind the file's end."""


@dataclass(frozen=True)
class Part:
    """The bytes from `start` up to, but not including, `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Its number of bytes."""
        return self.stop - self.start


def asked_part(headers: Mapping[str, str], length: int, etag: str, modified: str) -> Part | None:
    """Return the part of a file of `length` bytes; None if the whole file is to be sent.

    The whole file is sent without a valid `Range` of one part, and if `If-Range` names another
    version of the file.

    Raises:
        UnsatisfiableRangeError: The part begins behind the file's end.
    """
    match = re.fullmatch(r"bytes=([0-9]{0,19})-([0-9]{0,19})", headers.get("range", ""))
    if match is None or headers.get("if-range", etag) not in {etag, modified}:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        part = Part(max(0, length - int(last)), length)
    elif last and int(last) < int(first):
        return None
    else:
        part = Part(int(first), min(length, int(last) + 1) if last else length)
    if part.length <= 0:
        raise UnsatisfiableRangeError
    return part
