"""Validates model parameters against the catalogue and collects all errors."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from core.provider.catalogue import WIDEST_RATIO, Kind, Model, Parameter
from service.http.caller_values import MOST_SHOWN, kind_of, shown
from service.http.problems import FieldError
from service.intake.limits import LONGEST_URL, RATIO_PATTERN

NOT_UNICODE: Final = "contains an unpaired surrogate, which is not valid Unicode"
_RATIO: Final = re.compile(RATIO_PATTERN)


def check_input(model: Model, given: Any) -> list[FieldError]:
    """Return all errors about a model's parameters; image bytes are not checked here.

    Args:
        model: The model.
        given: What the caller sent as `input`.
    """
    if not isinstance(given, dict):
        allowed = "an object with the model's parameters"
        return [FieldError("input", f"is {kind_of(given)}", allowed, 'send {"prompt": "…"}')]
    errors = [
        FieldError(
            f"input.{name}",
            "is missing",
            allowed_value(parameter),
            f"add {name} to input",
        )
        for name, parameter in model.parameters.items()
        if parameter.required and given.get(name) is None
    ]
    for name, value in given.items():
        if name not in model.parameters:
            errors.append(unknown_field(f"input.{name}", model.parameters))
        elif value is not None:
            errors += _check(f"input.{name}", model.parameters[name], value)
    return errors or _too_many_pixels(model, given)


def _too_many_pixels(model: Model, given: Mapping[str, Any]) -> list[FieldError]:
    """Return the error about width times height; each is within its bounds by now."""
    width = given.get("width")
    sides = [side for side in (width, given.get("height")) if isinstance(side, int | float)]
    if not model.most_pixels or len(sides) < 2 or math.prod(sides) <= model.most_pixels:  # noqa: PLR2004 - both
        return []
    detail = f"is {shown(width)}, which makes {shown(math.prod(sides))} pixels with input.height"
    allowed = f"a width and a height of at most {model.most_pixels} pixels together"
    return [FieldError("input.width", detail, allowed, "make the width or the height smaller")]


def unknown_field(path: str, known: Mapping[str, Any]) -> FieldError:
    """Return the error about an unknown field, which lists the known ones."""
    allowed = "one of " + ", ".join(sorted(known))
    return FieldError(
        path[:MOST_SHOWN], "is not a known field", allowed, "remove it or correct its name"
    )


def _check(path: str, parameter: Parameter, value: Any) -> list[FieldError]:
    problem = _CHECKS[parameter.kind](parameter, value)
    if problem is None:
        return []
    allowed = allowed_value(parameter)
    return [FieldError(path, problem, allowed, f"send {allowed}, or leave {path} out")]


def _text(parameter: Parameter, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"is {kind_of(value)}"
    if not is_unicode(value):
        return NOT_UNICODE
    shortest, longest = int(parameter.minimum or 0), parameter.longest
    if len(value) < shortest or (longest is not None and len(value) > longest):
        return f"has {len(value)} characters"
    return None


def is_unicode(text: str) -> bool:
    """Return whether a text from JSON is valid UTF-8 (RFC 8259 section 8.2)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(parameter: Parameter, value: Any) -> str | None:
    whole = parameter.kind is Kind.INTEGER
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return f"is {kind_of(value)}" + (" with a fraction" if isinstance(value, float) else "")
    too_low = parameter.minimum is not None and value < parameter.minimum
    too_high = parameter.maximum is not None and value > parameter.maximum
    uneven = parameter.multiple_of is not None and value % parameter.multiple_of != 0
    return f"is {shown(value)}" if too_low or too_high or uneven else None


def _boolean(_parameter: Parameter, value: Any) -> str | None:
    return None if isinstance(value, bool) else f"is {kind_of(value)}"


def _choice(parameter: Parameter, value: Any) -> str | None:
    return None if value in parameter.choices else f"is {shown(value)}"


def _aspect_ratio(_parameter: Parameter, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"is {kind_of(value)}"
    parts = value.split(":") if _RATIO.fullmatch(value) else ("0", "0")
    width, height = (int(part) for part in parts)
    if not width or not height or not 1 / WIDEST_RATIO <= width / height <= WIDEST_RATIO:
        return f"is {shown(value)}"
    return None


def _image(parameter: Parameter, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"is {kind_of(value)}"
    if not value:
        return "is empty"
    if not is_unicode(value):
        return NOT_UNICODE
    if not is_url(value):
        return None
    if not parameter.urls:
        return "is a URL"
    try:
        host, length_ok = urlsplit(value).hostname, len(value) <= LONGEST_URL
    except ValueError:
        host, length_ok = None, True
    return None if host and length_ok else "is not a usable URL"


def is_url(value: str) -> bool:
    """Return whether an image was given as a URL; anything else is treated as base64."""
    return value[:8].lower().startswith(("http://", "https://"))


_CHECKS: Final[Mapping[Kind, Callable[[Parameter, Any], str | None]]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _number,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.CHOICE: _choice,
    Kind.ASPECT_RATIO: _aspect_ratio,
    Kind.IMAGE: _image,
}


def allowed_value(parameter: Parameter) -> str:
    """Describe the allowed values of a parameter."""
    match parameter.kind:
        case Kind.TEXT:
            low, high = int(parameter.minimum or 0), parameter.longest
            return f"a text of {low} to {high} characters" if high else "a text"
        case Kind.BOOLEAN:
            return "true or false"
        case Kind.CHOICE:
            return "one of " + ", ".join(parameter.choices)
        case Kind.ASPECT_RATIO:
            return "a ratio such as 16:9, between 21:9 and 9:21"
        case Kind.IMAGE:
            return "an image as base64" + (", or its http(s) URL" if parameter.urls else "")
        case _:
            return _allowed_number(parameter)


def _allowed_number(parameter: Parameter) -> str:
    noun = "a whole number" if parameter.kind is Kind.INTEGER else "a number"
    if parameter.multiple_of:
        noun = f"a multiple of {parameter.multiple_of}"
    match parameter.minimum, parameter.maximum:
        case None, None:
            return noun
        case low, None:
            return f"{noun} of at least {low:g}"
        case None, high:
            return f"{noun} of at most {high:g}"
        case low, high:
            return f"{noun} from {low:g} to {high:g}"
