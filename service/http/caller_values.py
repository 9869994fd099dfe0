"""A caller's values: what makes a text valid, and how errors show any of them."""

import json
from typing import Any, Final

#: Most characters of a value that an error repeats.
MOST_SHOWN: Final = 60
NOT_UNICODE: Final = "contains an unpaired surrogate, which is not valid Unicode"


def is_unicode(text: str) -> bool:
    """Return whether a text from JSON is valid UTF-8 (RFC 8259 section 8.2)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def kind_of(value: Any) -> str:
    """Return the name of a JSON value's type."""
    names: dict[type, str] = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "an array",
        dict: "an object",
        type(None): "null",
    }
    return names[type(value)]


def shown(value: Any) -> str:
    """Return a caller's value, truncated, for a message: a text in quotes, others as in JSON."""
    try:
        is_text = isinstance(value, str)
        text = repr(value) if is_text else json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:  # Python formats no longer numbers than it parses
        text = "a number of thousands of digits"
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"
