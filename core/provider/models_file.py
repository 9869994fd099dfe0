"""A deployment's own models: from a JSON file to entries of the catalogue.

    {"models": [{"name": "flux-2-pro-next", "like": "flux-2-pro",
                 "parameters": {"disable_pup": null, "raw": {"kind": "boolean"}}}]}

An entry holds what `core.provider.catalogue.Model` holds. `like` names a model whose entry is
copied; its parameters are then added to or replaced one by one, and null takes one away. So are
its variants, by their first names, and the parameters of each. An entry with the name of a built-in
model takes its place.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from core.provider.catalogue import MODELS, Media, Model, Parameter, Variant
from core.provider.models_file_fields import (
    MODEL_FIELDS,
    VARIANT_FIELDS,
    check_fields,
    read_parameter,
)
from core.text_values import ManyProblems, file_text

#: Bytes of the file; a larger one was named by mistake.
_LONGEST: Final = 16 * 1024 * 1024


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
    check_fields(path, entry, MODEL_FIELDS, problems)
    if len(problems) > before:
        return None
    like = known.get(entry["like"]) if "like" in entry else None
    if "like" in entry and like is None:
        problems.append(f"{path}.like: {entry['like']} is not a known model")
    content = "variants" if "variants" in entry else "parameters"
    needed = ("name",) if "like" in entry else ("name", "source", content)
    problems += [f"{path}.{name}: is missing" for name in needed if name not in entry]
    read: dict[str, Any] = {
        "parameters": _parameters(path, entry, like.parameters if like else {}, problems),
        "variants": _variants(path, entry, like.variants if like else (), problems),
    }
    if "media" in entry:
        read["media"] = Media(entry["media"])
    if len(problems) > before:
        return None
    fields = {**entry, **read}
    fields.pop("like", None)
    model = replace(like, **fields) if like else Model(**fields)
    problems += [f"{path}.{problem}" for problem in _variant_problems(model)]
    return None if len(problems) > before else model


def _parameters(
    path: str, entry: Mapping[str, Any], like: Mapping[str, Parameter], problems: list[str]
) -> dict[str, Parameter]:
    """Return the copied parameters with those of an entry added, replaced or taken away."""
    parameters = dict(like)
    for name, value in entry.get("parameters", {}).items():
        parameters.pop(name, None)
        if value is not None:
            parameters |= read_parameter(f"{path}.parameters.{name}", name, value, problems)
    return parameters


def _variants(
    path: str, entry: Mapping[str, Any], like: Sequence[Variant], problems: list[str]
) -> tuple[Variant, ...]:
    """Return the copied variants with those of an entry added, changed or taken away."""
    variants = {one.names[0]: one for one in like}
    for number, one in enumerate(entry.get("variants", ())):
        where, before = f"{path}.variants[{number}]", len(problems)
        check_fields(where, one, VARIANT_FIELDS, problems)
        if len(problems) == before:
            problems += [
                f"{where}.{name}: is missing" for name in VARIANT_FIELDS if name not in one
            ]
        if len(problems) > before:
            continue
        first = one["names"][0]
        if one["parameters"] is None:
            variants.pop(first, None)
            continue
        copied = variants[first].parameters if first in variants else {}
        parameters = _parameters(where, one, copied, problems)
        variants[first] = Variant(names=tuple(one["names"]), parameters=parameters)
    return tuple(variants.values())


def _variant_problems(model: Model) -> list[str]:
    """Return what is wrong with a model's variants as a whole."""
    names = [name for one in model.variants for name in one.names]
    problems = {
        "variants: need a variant_field": model.variants and not model.variant_field,
        "variant_field: needs variants": model.variant_field and not model.variants,
        "parameters: a model with variants has none of its own": model.variants
        and model.parameters,
        "variants: a name comes twice": len(names) != len(set(names)),
        "variant_field: is the name of a parameter": any(
            model.variant_field in form for form in model.forms
        ),
    }
    return [problem for problem, found in problems.items() if found]
