"""Validates model parameters against the catalogue and collects all errors."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from core.provider.catalogue import FILES, WIDEST_RATIO, Kind, Model, Parameter, Variant
from service.http.caller_values import MOST_SHOWN, NOT_UNICODE, is_unicode, kind_of, shown
from service.http.problems import FieldError
from service.intake.combinations import combination_errors
from service.intake.file_parameters import allowed_files, file_problem, list_errors
from service.intake.limits import RATIO_PATTERN

_RATIO: Final = re.compile(RATIO_PATTERN)


def check_input(model: Model, given: Any) -> list[FieldError]:
    """Return all errors about a model's parameters; the bytes of files are not checked here.

    Args:
        model: The model.
        given: What the caller sent as `input`.
    """
    if not isinstance(given, dict):
        allowed = "an object with the model's parameters"
        detail = "is missing" if given is None else f"is {kind_of(given)}"
        return [FieldError("input", detail, allowed, 'send {"prompt": "…"}')]
    variant = model.variant_of(given)
    parameters = variant.parameters if variant else model.parameters
    errors = [
        FieldError(
            f"input.{name}",
            "is missing",
            allowed_value(parameter),
            f"add {name} to input",
        )
        for name, parameter in parameters.items()
        if parameter.required and given.get(name) is None
    ]
    if model.variants and variant is None:
        errors.append(_no_variant(model, given))
    for name, value in given.items():
        if name in parameters:
            errors += _check(f"input.{name}", parameters[name], value) if value is not None else []
        elif name != (model.variant_field or None):
            errors += _unknown_parameter(model, variant, name)
    return errors or combination_errors(model, parameters, given)


def _no_variant(model: Model, given: Mapping[str, Any]) -> FieldError:
    """Return the error about an input that selects no variant."""
    field, value = model.variant_field, given.get(model.variant_field)
    detail = "is missing" if value is None else f"is {shown(value)}"
    allowed = "one of " + ", ".join(name for one in model.variants for name in one.names)
    fix = f"add {field} to input" if value is None else "send one of these"
    return FieldError(f"input.{field}", detail, allowed, fix)


def _unknown_parameter(model: Model, variant: Variant | None, name: str) -> list[FieldError]:
    """Return the error about a field that the input's variant, or any variant, has not."""
    owners = [one.names[0] for one in model.variants if name in one.parameters]
    if owners and variant is None:
        return []  # that no variant is selected is the error
    known = {name for form in ([variant.parameters] if variant else model.forms) for name in form}
    if model.variant_field:
        known.add(model.variant_field)
    error = unknown_field(f"input.{name}", dict.fromkeys(known))
    if variant is None or not owners:
        return [error]
    detail = f"is not a field of the {model.variant_field} {variant.names[0]}"
    fix = f"remove it, or send the {model.variant_field} {' or '.join(owners)}"
    return [FieldError(error.field, detail, error.allowed, fix)]


def unknown_field(path: str, known: Mapping[str, Any]) -> FieldError:
    """Return the error about an unknown field, which lists the known ones."""
    allowed = "one of " + ", ".join(sorted(known))
    return FieldError(
        path[:MOST_SHOWN], "is not a known field", allowed, "remove it or correct its name"
    )


def _check(path: str, parameter: Parameter, value: Any) -> list[FieldError]:
    if FILES.get(parameter.kind) and isinstance(value, list):
        return list_errors(path, parameter, value)
    check = file_problem if parameter.kind in FILES else _CHECKS[parameter.kind]
    problem = check(parameter, value)
    if problem is None:
        return []
    allowed = allowed_value(parameter)
    fix = f"send {allowed}" + ("" if parameter.required else f", or leave {path} out")
    return [FieldError(path, problem, allowed, fix)]


def _text(parameter: Parameter, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"is {kind_of(value)}"
    if not is_unicode(value):
        return NOT_UNICODE
    shortest, longest = int(parameter.minimum or 0), parameter.longest
    if len(value) < shortest or (longest is not None and len(value) > longest):
        return f"has {len(value)} characters"
    return None


def _number(parameter: Parameter, value: Any) -> str | None:
    whole = parameter.kind is Kind.INTEGER
    if parameter.word and value == parameter.word:
        return None
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


_CHECKS: Final[Mapping[Kind, Callable[[Parameter, Any], str | None]]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _number,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.CHOICE: _choice,
    Kind.ASPECT_RATIO: _aspect_ratio,
}


def allowed_value(parameter: Parameter) -> str:
    """Describe the allowed values of a parameter."""
    match parameter.kind:
        case Kind.TEXT:
            return _allowed_text(parameter)
        case Kind.BOOLEAN:
            limits = [f"{n} {' or '.join(some)}" for n, some in parameter.only_with.items()]
            return "true or false" + "".join(f"; true only with {one}" for one in limits)
        case Kind.CHOICE:
            return "one of " + ", ".join(parameter.choices)
        case Kind.ASPECT_RATIO:
            return "a ratio such as 16:9, between 21:9 and 9:21"
        case Kind.INTEGER | Kind.NUMBER:
            word = f"{parameter.word}, or " if parameter.word else ""
            return word + _allowed_number(parameter)
        case _:
            return allowed_files(parameter)


def _allowed_text(parameter: Parameter) -> str:
    low, high = int(parameter.minimum or 0), parameter.longest
    if high:
        return f"a text of {low} to {high} characters"
    return f"a text of at least {low} character{'s' * (low > 1)}" if low else "a text"


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
