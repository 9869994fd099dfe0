"""The `Retry-After` header of an answer (RFC 9110 section 10.2.3), in both its forms."""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

#: More digits say nothing that fewer do not, and Python refuses to read very many.
_MOST_DIGITS: Final = 12


def retry_after_seconds(text: str, now: float) -> float | None:
    """Return how many seconds the other side asks to be left alone; never below 0.

    The bound on it is the caller's: a slip in one header must not stop anything for long.

    Args:
        text: The header's value: whole seconds, or a date in any of HTTP's three forms.
        now: Unix time in seconds by our clock, which a date is held against.

    Returns:
        None where it is neither.
    """
    stated = text.strip()
    if stated.isascii() and stated.isdigit():
        return float(stated[:_MOST_DIGITS])
    try:
        moment = parsedate_to_datetime(stated)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # The asctime form and "-0000" name no zone; HTTP's dates are UTC.
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return max(0.0, at - now)
