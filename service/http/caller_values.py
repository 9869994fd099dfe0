"""How a caller's value is named and repeated in a complaint."""

from typing import Any, Final

#: Characters of a value that a complaint repeats.
MOST_SHOWN: Final = 60


def kind_of(value: Any) -> str:
    """Name a JSON value's type."""
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
    """Return a caller's value, shortened, for a message."""
    try:
        text = repr(value) if isinstance(value, str) else str(value)
    except ValueError:  # Python writes no number of more digits than it reads
        text = "a number of thousands of digits"
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"
