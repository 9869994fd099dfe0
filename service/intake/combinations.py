"""Checks parameters that must go together; each is within its own bounds by now."""

import math
from collections.abc import Mapping
from typing import Any, Final

from core.provider.catalogue import Model, Parameter
from service.http.caller_values import shown
from service.http.problems import FieldError

#: With so many keyframes without seconds, a video's duration must be known.
_UNTIMED: Final = 3

_Parameters = Mapping[str, Parameter]
_Given = Mapping[str, Any]


def combination_errors(model: Model, parameters: _Parameters, given: _Given) -> list[FieldError]:
    """Return all errors about parameters that do not go together.

    Args:
        model: The model.
        parameters: The parameters of the input's variant.
        given: What the caller sent as `input`.
    """
    errors = _too_many_pixels(model, given)
    for name, value in given.items():
        if (parameter := parameters.get(name)) is None:
            continue
        if value is True:
            errors += _excluded(name, parameter, given)
        if parameter.duration:
            errors += _without_duration(name, parameter, given)
    return errors


def _too_many_pixels(model: Model, given: _Given) -> list[FieldError]:
    width = given.get("width")
    sides = [side for side in (width, given.get("height")) if isinstance(side, int | float)]
    if not model.most_pixels or len(sides) < 2 or math.prod(sides) <= model.most_pixels:  # noqa: PLR2004 - both
        return []
    detail = f"is {shown(width)}, which makes {shown(math.prod(sides))} pixels with input.height"
    allowed = f"a width and a height of at most {model.most_pixels} pixels together"
    return [FieldError("input.width", detail, allowed, "make the width or the height smaller")]


def _excluded(name: str, parameter: Parameter, given: _Given) -> list[FieldError]:
    """Return the errors about values that a switch, which is on, does not allow."""
    errors = []
    for other, values in parameter.only_with.items():
        value = given.get(other)
        if value is not None and value not in values:
            allowed = f"one of {', '.join(values)} while {name} is true"
            fix = f"leave {other} out, or send {name} as false"
            errors.append(FieldError(f"input.{other}", f"is {shown(value)}", allowed, fix))
    return errors


def _without_duration(name: str, parameter: Parameter, given: _Given) -> list[FieldError]:
    """Return the error about many keyframes that say neither when nor within how long."""
    frames, seconds = given.get(name), given.get(parameter.duration)
    if not isinstance(frames, list) or len(frames) < _UNTIMED or isinstance(frames[0], list):
        return []
    if isinstance(seconds, int | float):  # not a word, such as `auto`
        return []
    detail = f"has {len(frames)} keyframes without seconds"
    allowed = f"{_UNTIMED} or more without seconds if {parameter.duration} is a number"
    fix = f"send {parameter.duration} as a number, or each keyframe as [seconds, image]"
    return [FieldError(f"input.{name}", detail, allowed, fix)]
