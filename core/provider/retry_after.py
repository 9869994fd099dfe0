"""Parses the `Retry-After` header (RFC 9110 section 10.2.3) in both its forms."""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

#: Further digits are ignored; Python refuses to parse very long numbers.
_MOST_DIGITS: Final = 12


def retry_after_seconds(text: str, now: float) -> float | None:
    """Return the seconds to wait; never below 0.

    The caller must bound the result: an absurd header must not block anything for long.

    Args:
        text: The header's value: whole seconds, or a date in any of HTTP's three forms.
        now: Current Unix time in seconds, to which a date is compared.

    Returns:
        None if it is neither.
    """
    stated = text.strip()
    if stated.isascii() and stated.isdigit():
        return float(stated[:_MOST_DIGITS])
    try:
        moment = parsedate_to_datetime(stated)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # The asctime form and "-0000" have no time zone; HTTP dates are UTC.
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return max(0.0, at - now)
