"""The `Range` header (RFC 9110 section 14), as far as a download that goes on needs it."""

import re
from typing import Final

_ONE: Final = re.compile(r"bytes=\s*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\s*", re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range lies beyond the end."""


def requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first and the last byte that are asked for, None for all of them.

    What is not one well-formed range of bytes is ignored, as the RFC has it; several ranges at a
    time are ignored as well, which it allows.

    Args:
        header: As it came.
        size: Of the whole, in bytes.

    Raises:
        Unsatisfiable: 416.
    """
    match = _ONE.fullmatch(header or "")
    if not match:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        if int(suffix) == 0:
            raise Unsatisfiable
        return max(0, size - int(suffix)), size - 1
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise Unsatisfiable
    return int(first), min(int(last), size - 1) if last else size - 1
