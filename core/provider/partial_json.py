"""Parses the leading part of a truncated JSON object."""

import json
import re
from typing import Any, Final

_BEGIN: Final = re.compile(r"\s*\{")
_MEMBER: Final = re.compile(r'\s*,?\s*("(?:[^"\\\x00-\x1f]|\\.)*")\s*:\s*')
_decode: Final = json.JSONDecoder().raw_decode


def leading_members(raw: bytes) -> bytes:
    """Return the complete members of a truncated object, up to the first incomplete one.

    Args:
        raw: The beginning of a JSON object; anything else has no members.
    """
    text = raw.decode(errors="replace")
    members: dict[str, Any] = {}
    begin = _BEGIN.match(text)
    place = begin.end() if begin else len(text)
    while name := _MEMBER.match(text, place):
        try:
            value, place = _decode(text, name.end())
            if place == len(text):  # a number may continue
                break
            members[json.loads(name[1])] = value
        except (ValueError, RecursionError):
            break
    return json.dumps(members).encode()
