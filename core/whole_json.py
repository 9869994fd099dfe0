"""JSON encoding without lone surrogates, which many parsers reject."""

import json
from typing import Any, Final

_encode: Final = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode
_encode_as_is: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def whole_json(value: Any) -> str:
    """Encode a value as compact JSON, with lone surrogates replaced by U+FFFD.

    Text from outside may contain them (RFC 8259 section 8.2). Lua's cjson rejects them, and so do
    many callers' parsers.
    """
    text = _encode(value)
    if "\\ud" not in text:  # no surrogate at all
        return text
    text = _encode_as_is(value)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
