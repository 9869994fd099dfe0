"""Formats a caller's values for errors."""

from typing import Any, Final

#: Most characters of a value that an error repeats.
MOST_SHOWN: Final = 60


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
    """Return a caller's value, truncated, for a message."""
    try:
        text = repr(value) if isinstance(value, str) else str(value)
    except ValueError:  # Python formats no longer numbers than it parses
        text = "a number of thousands of digits"
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"
