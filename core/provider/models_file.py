"""A deployment's own models: from a JSON file to entries of the catalogue.

    {"models": [{"name": "flux-2-pro-next", "like": "flux-2-pro",
                 "parameters": {"disable_pup": null, "raw": {"kind": "boolean"}}}]}

An entry holds what `core.provider.catalogue.Model` holds. `like` names a model whose entry is
copied; its parameters are then added to or replaced one by one, and null takes one away. An entry
with the name of a built-in model takes its place.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from core.media.image_formats import FORMATS
from core.provider.catalogue import MODELS, Kind, Model, Parameter
from core.text_values import ManyProblems, file_text

#: Bytes of the file; a larger one was named by mistake.
_LONGEST: Final = 16 * 1024 * 1024

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


def _are_choices(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


_MODEL_FIELDS: Final[Mapping[str, tuple[_Check, str]]] = {
    "name": (lambda value: _is_text(value) and bool(_NAME.fullmatch(value)), "an endpoint's name"),
    "like": (_is_text, "a model's name"),
    "source": (_is_text, "a text"),
    "parameters": (lambda value: isinstance(value, dict), "an object"),
    "webhook": (_is_boolean, "true or false"),
    "cost_on_submit": (_is_boolean, "true or false"),
    "most_pixels": (_is_count, "a whole number above 0"),
    "lane": (_is_text, "a model's name"),
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
    "disagreement": (_is_text, "a text"),
}


def read_models(path: str) -> Mapping[str, Model]:
    """Read the models file at `path`; without a path there are no models.

    Raises:
        ValueError: The file is unreadable, or not JSON.
        ManyProblems: All problems of its content.
    """
    if not path:
        return {}
    try:
        document = json.loads(file_text(path, _LONGEST))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON in UTF-8: {error}") from None
    entries = document.get("models") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(document) > 1:
        raise ValueError('must hold {"models": […]} and nothing else')
    problems: list[str] = []
    models: dict[str, Model] = {}
    for number, entry in enumerate(entries):
        model = _model(f"models[{number}]", entry, {**MODELS, **models}, problems)
        if model and model.name in models:
            problems.append(f"models[{number}].name: {model.name} is defined twice")
        if model:
            models[model.name] = model
    if problems:
        raise ManyProblems(problems)
    return models


def offered(names: Sequence[str] | None, added: Mapping[str, Model] | None) -> Mapping[str, Model]:
    """Return the models that a deployment offers.

    Args:
        names: The models that callers may use; empty or None: all known models.
        added: Models of the deployment's file; None: the file is invalid, so names cannot be
            checked.

    Raises:
        ValueError: A name is unknown.
    """
    known = {**MODELS, **(added or {})}
    unknown = [name for name in names or () if name not in known]
    if unknown and added is not None:
        raise ValueError(f"{', '.join(unknown)}: not known; known are {', '.join(known)}")
    return {name: known[name] for name in names if name in known} if names else known


def _model(path: str, entry: Any, known: Mapping[str, Model], problems: list[str]) -> Model | None:
    before = len(problems)
    _check_fields(path, entry, _MODEL_FIELDS, problems)
    if len(problems) > before:
        return None
    like = known.get(entry["like"]) if "like" in entry else None
    if "like" in entry and like is None:
        problems.append(f"{path}.like: {entry['like']} is not a known model")
    needed = ("name",) if "like" in entry else ("name", "source", "parameters")
    problems += [f"{path}.{name}: is missing" for name in needed if name not in entry]
    parameters = dict(like.parameters) if like else {}
    for name, value in entry.get("parameters", {}).items():
        parameters.pop(name, None)
        if value is not None:
            parameters |= _parameter(f"{path}.parameters.{name}", name, value, problems)
    if len(problems) > before:
        return None
    plain = {name: value for name, value in entry.items() if name not in ("like", "parameters")}
    if like:
        return replace(like, parameters=parameters, **plain)
    return Model(parameters=parameters, **plain)


def _parameter(path: str, name: str, value: Any, problems: list[str]) -> dict[str, Parameter]:
    """Return the parameter by its name; nothing if it is invalid."""
    before = len(problems)
    if not _PARAMETER_NAME.fullmatch(name):
        problems.append(f"{path}: a name has at most 64 letters, digits and _")
    if name in _OURS:
        problems.append(f"{path}: is set by FluxRelay itself")
    _check_fields(path, value, _PARAMETER_FIELDS, problems)
    if len(problems) > before:
        return {}
    if "kind" not in value:
        problems.append(f"{path}.kind: is missing")
    if (value.get("kind") == Kind.CHOICE) != ("choices" in value):
        problems.append(f"{path}.choices: is allowed for the kind choice only, and required there")
    if value.get("minimum", -math.inf) > value.get("maximum", math.inf):
        problems.append(f"{path}.minimum: is above the maximum")
    if name == _FORMAT:
        problems += _format_problems(path, value)
    if len(problems) > before:
        return {}
    plain = {key: item for key, item in value.items() if key not in ("kind", "choices")}
    choices = tuple(value.get("choices", ()))
    return {name: Parameter(kind=Kind(value["kind"]), choices=choices, **plain)}


def _format_problems(path: str, value: Mapping[str, Any]) -> list[str]:
    """Return problems of formats that would be paid for, but cannot be stored."""
    known = ", ".join(FORMATS)
    if value["kind"] != Kind.CHOICE:
        return [f"{path}.kind: must be choice, of formats that can be stored: {known}"]
    odd = [choice for choice in value["choices"] if choice not in FORMATS]
    return [f"{path}.choices: {', '.join(odd)}: only {known} can be stored"] if odd else []


def _check_fields(
    path: str, value: Any, fields: Mapping[str, tuple[_Check, str]], problems: list[str]
) -> None:
    if not isinstance(value, dict):
        problems.append(f"{path}: must be an object")
        return
    for name, item in value.items():
        if name not in fields:
            problems.append(f"{path}.{name}: is not known; known are {', '.join(fields)}")
        elif not fields[name][0](item):
            problems.append(f"{path}.{name}: must be {fields[name][1]}")
