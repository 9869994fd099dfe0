"""Converts values as leniently as the provider does.

Its API parses numbers and booleans in pydantic's "lax" mode: `"1024"`, `1024.0` and `"yes"` are
accepted. Drop-in clients rely on it. Values that cannot be converted are left alone for the regular
checks.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from core.provider.catalogue import Kind, Parameter

_LONGEST: Final = 64  # characters of a number as text
_INTEGER: Final = re.compile(r"[+-]?\d+(?:\.0*)?", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_BOOLEANS: Final[Mapping[Any, bool]] = {
    **dict.fromkeys(("0", "off", "f", "false", "n", "no"), False),
    **dict.fromkeys(("1", "on", "t", "true", "y", "yes"), True),
}


def converted(parameters: Mapping[str, Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a flat body with numbers and booleans converted.

    Args:
        parameters: The model's parameters; other fields are left alone.
        given: The body.
    """
    values = dict(given)
    for name, value in given.items():
        parameter = parameters.get(name)
        convert = _CONVERSIONS.get(parameter.kind) if parameter else None
        if convert:
            values[name] = convert(value)
    return values


def whole(value: Any) -> Any:
    """Convert a whole number written with a fraction (`1024.0`) to an integer.

    JSON Schema, and so this API's own document, treats it as one.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


def with_whole_numbers(parameters: Mapping[str, Parameter], given: Any) -> Any:
    """Return a model's parameters with whole numbers as integers; other types unchanged."""
    if not isinstance(given, dict) or not any(isinstance(one, float) for one in given.values()):
        return given
    integers = {name for name, one in parameters.items() if one.kind is Kind.INTEGER}
    return {name: whole(value) if name in integers else value for name, value in given.items()}


def _integer(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= _LONGEST and _INTEGER.fullmatch(text):
            return int(text.partition(".")[0])
    return int(value) if isinstance(value, bool) else whole(value)


def _number(value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= _LONGEST and _NUMBER.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
    return float(value) if isinstance(value, bool) else value


def _boolean(value: Any) -> Any:
    if isinstance(value, str):
        return _BOOLEANS.get(value.lower(), value)
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    return value


_CONVERSIONS: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
}
