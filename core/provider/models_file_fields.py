"""The fields of a models file: what each may hold, and what goes together."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from core.media.image_formats import FORMATS
from core.provider.catalogue import BUNDLE_ROLE, FILES, Kind, Media, Parameter

#: A name is the end of a URL's path: no dot segments, nothing that would need escaping.
_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*", re.ASCII)
#: A parameter's name becomes a part of an S3 key.
_PARAMETER_NAME: Final = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
#: Set by us for each job; a caller's value would divert the webhook.
_OURS: Final = ("webhook_url", "webhook_secret")
#: The parameter that selects the image format.
_FORMAT: Final = "output_format"

_Check = Callable[[Any], bool]


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -math.inf < value < math.inf


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_length(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_name(value: str) -> bool:
    return bool(_PARAMETER_NAME.fullmatch(value))


def _are_choices(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _are_choices_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_are_choices, value.values()))


MODEL_FIELDS: Final[Mapping[str, tuple[_Check, str]]] = {
    "name": (lambda value: _is_text(value) and bool(_NAME.fullmatch(value)), "an endpoint's name"),
    "like": (_is_text, "a model's name"),
    "source": (_is_text, "a text"),
    "parameters": (lambda value: isinstance(value, dict), "an object"),
    "webhook": (_is_boolean, "true or false"),
    "cost_on_submit": (_is_boolean, "true or false"),
    "most_pixels": (_is_count, "a whole number above 0"),
    "lane": (_is_text, "a model's name"),
    "variant_field": (lambda value: _is_text(value) and _is_name(value), "a parameter's name"),
    "variants": (lambda value: isinstance(value, list), "an array of objects"),
    "media": (lambda value: value in list(Media), "one of " + ", ".join(Media)),
    "link_seconds": (_is_length, "a number above 0"),
    "first_poll_seconds": (_is_length, "a number above 0"),
    "poll_seconds": (_is_length, "a number above 0"),
    "deadline_seconds": (_is_length, "a number above 0"),
    "active_limit": (_is_count, "a whole number above 0"),
}
VARIANT_FIELDS: Final[Mapping[str, tuple[_Check, str]]] = {
    "names": (_are_choices, "an array of texts"),
    "parameters": (lambda value: value is None or isinstance(value, dict), "an object, or null"),
}
_PARAMETER_FIELDS: Final[Mapping[str, tuple[_Check, str]]] = {
    "kind": (lambda value: value in list(Kind), "one of " + ", ".join(Kind)),
    "required": (_is_boolean, "true or false"),
    "minimum": (_is_number, "a number"),
    "maximum": (_is_number, "a number"),
    "multiple_of": (_is_count, "a whole number above 0"),
    "choices": (_are_choices, "an array of texts"),
    "urls": (_is_boolean, "true or false"),
    "longest": (_is_count, "a whole number above 0"),
    "word": (_is_text, "a text"),
    "most": (_is_count, "a whole number above 0"),
    "duration": (lambda value: _is_text(value) and _is_name(value), "a parameter's name"),
    "only_with": (_are_choices_by_name, "an object of arrays of texts"),
    "adds": (lambda value: value == BUNDLE_ROLE, BUNDLE_ROLE),
    "shortest_side": (_is_count, "a whole number above 0"),
    "most_pixels": (_is_count, "a whole number above 0"),
    "most_bytes": (_is_count, "a whole number above 0"),
    "most_seconds": (_is_length, "a number above 0"),
    "disagreement": (_is_text, "a text"),
}
_LISTS: Final = frozenset(kind for kind, arrays in FILES.items() if arrays)
_NUMBERS: Final = frozenset({Kind.INTEGER, Kind.NUMBER})
_IMAGES: Final = frozenset({Kind.IMAGE, Kind.IMAGES, Kind.KEYFRAMES})
#: Fields of a parameter that only some kinds have.
_OF_KINDS: Final[Mapping[str, frozenset[Kind]]] = {
    "word": _NUMBERS,
    "most": _LISTS,
    "duration": frozenset({Kind.KEYFRAMES}),
    "only_with": frozenset({Kind.BOOLEAN}),
    "adds": frozenset({Kind.BOOLEAN}),
    "shortest_side": _IMAGES,
    "most_pixels": _IMAGES,
    "most_bytes": frozenset(FILES),
    "most_seconds": frozenset({Kind.VIDEO}),
}


def read_parameter(path: str, name: str, value: Any, problems: list[str]) -> dict[str, Parameter]:
    """Return the parameter by its name; nothing if it is invalid."""
    before = len(problems)
    if not _is_name(name):
        problems.append(f"{path}: a name has at most 64 letters, digits and _")
    if name in _OURS:
        problems.append(f"{path}: is set by FluxRelay itself")
    check_fields(path, value, _PARAMETER_FIELDS, problems)
    if len(problems) > before:
        return {}
    if "kind" not in value:
        problems.append(f"{path}.kind: is missing")
    if (value.get("kind") == Kind.CHOICE) != ("choices" in value):
        problems.append(f"{path}.choices: is allowed for the kind choice only, and required there")
    problems += [
        f"{path}.{field}: is not for the kind {value['kind']}"
        for field, kinds in _OF_KINDS.items()
        if field in value and value.get("kind", "") not in {"", *kinds}
    ]
    if value.get("minimum", -math.inf) > value.get("maximum", math.inf):
        problems.append(f"{path}.minimum: is above the maximum")
    if name == _FORMAT:
        problems += _format_problems(path, value)
    if len(problems) > before:
        return {}
    read: dict[str, Any] = {
        "kind": Kind(value["kind"]),
        "choices": tuple(value.get("choices", ())),
        "only_with": {other: tuple(each) for other, each in value.get("only_with", {}).items()},
    }
    return {name: Parameter(**{**value, **read})}


def _format_problems(path: str, value: Mapping[str, Any]) -> list[str]:
    """Return problems of formats that would be paid for, but cannot be stored."""
    known = ", ".join(FORMATS)
    if value.get("kind") != Kind.CHOICE:
        return [f"{path}.kind: must be choice, of formats that can be stored: {known}"]
    odd = [choice for choice in value.get("choices", ()) if choice not in FORMATS]
    return [f"{path}.choices: {', '.join(odd)}: only {known} can be stored"] if odd else []


def check_fields(
    path: str, value: Any, fields: Mapping[str, tuple[_Check, str]], problems: list[str]
) -> None:
    """Add the problems of an object's fields, each by itself."""
    if not isinstance(value, dict):
        problems.append(f"{path}: must be an object")
        return
    for name, item in value.items():
        if name not in fields:
            problems.append(f"{path}.{name}: is not known; known are {', '.join(fields)}")
        elif not fields[name][0](item):
            problems.append(f"{path}.{name}: must be {fields[name][1]}")
