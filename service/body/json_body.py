"""Reads a body that is JSON, as strictly as whoever reads it next may."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from service.body.json_scanner import Gap
from service.http.caller_values import shown
from service.http.problems import Problem

_DEEPEST: Final = 100  # levels of objects and arrays


def parse_json(raw: bytes, gaps: Sequence[Gap] = ()) -> Any:
    """Read a JSON text (RFC 8259); NaN and Infinity are none.

    Args:
        raw: The text, or the skeleton of one.
        gaps: Where the skeleton is shorter than the text.

    Raises:
        Problem: 400, with the place where it breaks, or the name that an object holds twice.
    """
    try:
        # As `json.loads` does it, which makes a decoder for each text.
        body = _decode(_text(raw))
        _check_depth(body)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno + _missing(raw, gaps, error)}"
        what = error.msg.removesuffix(" at")
        detail = f"The body is not valid JSON ({what} at {where}); send one JSON object"
    except _NamedTwice as error:
        name = shown(error.name)
        detail = f"The body has an object with two fields named {name}; send each name once"
        raise Problem(HTTPStatus.BAD_REQUEST, "duplicate-field", detail) from None
    except _UnreadableError as error:
        detail = f"The body is not valid JSON: {error}"
    except RecursionError:
        detail = f"The body is not valid JSON for us: it is nested deeper than {_DEEPEST} levels"
    except ValueError:  # Python reads no integer of more digits (`sys.set_int_max_str_digits`)
        detail = "The body is not valid JSON for us: it holds a number of thousands of digits"
    else:
        return body
    raise Problem(HTTPStatus.BAD_REQUEST, "invalid-json", detail)


class _UnreadableError(Exception):
    """The text is not JSON, for a reason that is its message."""


def _text(raw: bytes) -> str:
    """Return the text. It has to be UTF-8 (RFC 8259 section 8.1); the other UTFs are read, too."""
    encoding = json.detect_encoding(raw)
    try:
        return raw.decode(encoding, "surrogatepass")
    except UnicodeDecodeError as error:
        where = f"byte {error.start + 1}"
        raise _UnreadableError(f"it is not in UTF-8 ({where}); send it in UTF-8") from None


def _refuse_constant(name: str) -> None:
    raise _UnreadableError(f"{name} is no value of JSON; send a number or null")


def _missing(raw: bytes, gaps: Sequence[Gap], error: json.JSONDecodeError) -> int:
    """Return how many characters of the line before the mistake a skeleton lacks."""
    encoding = json.detect_encoding(raw)
    places = ((len(raw[: gap.at].decode(encoding, "replace")), gap.characters) for gap in gaps)
    line_from = error.doc.rfind("\n", 0, error.pos) + 1
    return sum(missing for at, missing in places if line_from <= at <= error.pos)


def _check_depth(body: Any) -> None:
    """Refuse what could be read but, deeper in our own calls, not be written again."""
    level: list[Any] = [[body]]
    depth = 0
    while level:
        depth += 1
        if depth > _DEEPEST:
            raise RecursionError
        level = [
            item
            for outer in level
            for item in (outer.values() if type(outer) is dict else outer)
            if type(item) is dict or type(item) is list
        ]


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _UnreadableError(f"the number {shown(text)} is too large")
    return number


class _NamedTwice(Exception):
    """An object holds one name twice: readers disagree on which of the two values counts."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise _NamedTwice(next(name for name, count in counts.items() if count > 1))
    return found


_decode: Final = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_object_of
).decode
