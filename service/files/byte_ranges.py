"""Parses the `Range` header (RFC 9110 section 14), as far as resumed downloads need it."""

import re
from typing import Final

_ONE: Final = re.compile(r"bytes=\s*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\s*", re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range starts beyond the end."""


def requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first and last requested byte; None for all.

    Anything but one well-formed byte range is ignored, as the RFC requires; multiple ranges are
    ignored as well, which it allows.

    Args:
        header: The header's value.
        size: Size of the whole object in bytes.

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
