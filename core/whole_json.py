"""JSON that every reader takes: JSON can escape half of a character, which many readers refuse."""

import json
from typing import Any, Final

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode
_encode_as_is: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def whole_json(value: Any) -> str:
    """Return a value as JSON, as short as it can be, with U+FFFD for each lone surrogate in it.

    Text from outside may hold such halves (RFC 8259 section 8.2). Lua's reader fails at them, and
    so do the readers of callers.
    """
    text = _encode(value)
    if "\\ud" not in text:  # neither half of a surrogate pair is in it
        return text
    text = _encode_as_is(value)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
