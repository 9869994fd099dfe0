"""Parses a JSON body strictly, so that every later reader accepts it."""

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


def parse_json(
    raw: bytes, gaps: Sequence[Gap] = (), *, name: str = "The body", line: int | None = 1
) -> Any:
    """Parse JSON (RFC 8259); NaN and Infinity are rejected.

    Args:
        raw: The text, or its skeleton.
        gaps: Where the skeleton is shorter than the text.
        name: What errors call the text.
        line: Its line in the body; None: unknown, so errors name a place in the text.

    Raises:
        Problem: 400, with the position of the error, or the duplicate name.
    """
    try:
        # As `json.loads` does, but without creating a decoder per text.
        body = _decode(_text(raw))
        _check_depth(body)
    except json.JSONDecodeError as error:
        row, column = error.lineno + (line or 1) - 1, error.colno + _missing(raw, gaps, error)
        where = f"line {row}, column {column}" + ("" if line else " of its text")
        what = error.msg.removesuffix(" at")
        detail = f"{name} is not valid JSON ({what} at {where}); send one JSON object"
    except _NamedTwice as error:
        field = shown(error.name)
        detail = f"{name} has an object with two fields named {field}; send each name once"
        raise Problem(HTTPStatus.BAD_REQUEST, "duplicate-field", detail) from None
    except _UnreadableError as error:
        detail = f"{name} is not valid JSON: {error}"
    except RecursionError:
        detail = f"{name} is not valid JSON for us: it is nested deeper than {_DEEPEST} levels"
    except ValueError:  # Python parses no longer integers (`sys.set_int_max_str_digits`)
        detail = f"{name} is not valid JSON for us: it holds a number of thousands of digits"
    else:
        return body
    raise Problem(HTTPStatus.BAD_REQUEST, "invalid-json", detail)


class _UnreadableError(Exception):
    """The text is not JSON; the message says why."""


def _text(raw: bytes) -> str:
    """Decode the text, which must be UTF-8 (RFC 8259 section 8.1); a BOM is skipped."""
    encoding = json.detect_encoding(raw)
    if not encoding.startswith("utf-8"):
        raise _UnreadableError(f"it is in {encoding.upper()}; send it in UTF-8")
    try:
        return raw.decode(encoding, "surrogatepass")
    except UnicodeDecodeError as error:
        where = f"byte {error.start + 1}"
        raise _UnreadableError(f"it is not in UTF-8 ({where}); send it in UTF-8") from None


def _refuse_constant(name: str) -> None:
    raise _UnreadableError(f"{name} is no value of JSON; send a number or null")


def _missing(raw: bytes, gaps: Sequence[Gap], error: json.JSONDecodeError) -> int:
    """Return how many characters before the error the skeleton lacks in its line."""
    encoding = json.detect_encoding(raw)
    places = ((len(raw[: gap.at].decode(encoding, "replace")), gap.characters) for gap in gaps)
    line_from = error.doc.rfind("\n", 0, error.pos) + 1
    return sum(missing for at, missing in places if line_from <= at <= error.pos)


def _check_depth(body: Any) -> None:
    """Reject JSON that could be parsed, but is nested too deeply to be serialized again."""
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
    """An object has a duplicate name: readers disagree on which value counts."""

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
