"""Our verdict on every parameter against that of the provider's OpenAPI documents.

Where the two differ it is on purpose: each difference stands in `DIFFERENCES` with its reason.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from core.provider.catalogue import MODELS, Kind, Parameter
from core.settings.settings import Settings
from tests.boundary_values import field_errors_for, probes

_DOCUMENT: Final = json.loads((Path(__file__).parent / "bfl_parameters.json").read_text())
DOCUMENTED: Final[Mapping[str, Any]] = _DOCUMENT["models"]
#: The guide lists the first one; the others are newer than the OpenAPI documents.
UNDOCUMENTED: Final = {
    *("flux-pro", "flux-3-image", "flux-3-image-klein", "flux-3-video"),
    *("flux-tools/video-edit-v1", "flux-tools/video-upscale-v1"),
}
#: It forbids what it does not name; the others ignore that.
STRICT: Final = {"flux-tools/outpainting-v1"}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Values of which we think otherwise than the document."""

    reason: str
    #: Our verdict; the document's is the opposite.
    accepted: bool
    #: Model, parameter's name, the parameter, the value.
    covers: Callable[[str, str, Parameter, Any], bool]


DIFFERENCES: Final = (
    Difference(
        reason="null means not sent and is not sent on, also where the document wants a value",
        accepted=True,
        covers=lambda _m, _n, one, value: value is None and not one.required,
    ),
    Difference(
        reason="half a surrogate pair cannot be sent as UTF-8",
        accepted=False,
        covers=lambda _m, _n, one, value: one.kind is Kind.TEXT and value == "\ud800",
    ),
    Difference(
        reason="the document states the range of a ratio in words only; we check it",
        accepted=False,
        covers=lambda _m, _n, one, value: one.kind is Kind.ASPECT_RATIO and isinstance(value, str),
    ),
    Difference(
        reason="an image must be one before a slot is taken; to the document it is any text",
        accepted=False,
        covers=lambda _m, _n, one, value: one.kind is Kind.IMAGE and isinstance(value, str),
    ),
    Difference(
        reason="the newer SDK has a fifth image, which the document ignores; we check it",
        accepted=False,
        covers=lambda model, name, _p, value: (
            (model, name) == ("flux-2-klein-9b", "input_image_5") and not isinstance(value, str)
        ),
    ),
)


def documented_verdict(model: str, name: str, value: Any) -> bool:
    """Say whether the document accepts a value, as JSON Schema has it."""
    rule = DOCUMENTED[model]["parameters"].get(name)
    if rule is None:
        return model not in STRICT
    if value is None:
        return bool(rule.get("null"))
    return _has_type(rule["type"], value) and _is_within(rule, value)


def _has_type(kind: str, value: Any) -> bool:
    if isinstance(value, bool) or kind == "boolean":
        return kind == "boolean" and isinstance(value, bool)
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    types: dict[str, Any] = {"string": str, "integer": int, "number": int | float}
    return isinstance(value, types[kind])


def _is_within(rule: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, str):
        length_ok = rule.get("shortest", 0) <= len(value) <= rule.get("longest", len(value))
        return length_ok and value in rule.get("choices", [value])
    if isinstance(value, bool):
        return True
    within = rule.get("minimum", value) <= value <= rule.get("maximum", value)
    return bool(within and value % rule.get("multiple_of", value or 1) == 0)


def _differences(
    model: str, name: str, settings: Settings
) -> list[tuple[Any, bool, list[Difference]]]:
    """Return each value of which we think otherwise, our verdict, and the reasons there are."""
    entry = MODELS[model]
    parameter = entry.parameters[name]
    found = []
    for value in probes(parameter):
        accepted = field_errors_for(entry, name, value, settings) == []
        if accepted != documented_verdict(model, name, value):
            reasons = [
                one
                for one in DIFFERENCES
                if one.accepted == accepted and one.covers(model, name, parameter, value)
            ]
            found.append((value, accepted, reasons))
    return found


PARAMETERS: Final = [(m, name) for m in MODELS if m in DOCUMENTED for name in MODELS[m].parameters]


@pytest.mark.parametrize(("model", "name"), PARAMETERS)
def test_verdicts(model: str, name: str, settings: Settings) -> None:
    """At every bound and for every type both say the same, or a difference gives its reason."""
    for value, accepted, reasons in _differences(model, name, settings):
        assert reasons, f"{model}.{name} = {value!r:.80}: we {'take' if accepted else 'refuse'} it"


def test_every_difference_is_there(settings: Settings) -> None:
    """No reason stands in the list that no value needs any more."""
    used = {
        reason.reason
        for model, name in PARAMETERS
        for _, _, reasons in _differences(model, name, settings)
        for reason in reasons
    }
    assert used == {one.reason for one in DIFFERENCES}


def test_every_model_is_compared() -> None:
    """The catalogue has every model of the documents, and names those they do not have."""
    assert set(MODELS) - set(DOCUMENTED) == UNDOCUMENTED
    assert set(DOCUMENTED) <= set(MODELS)


@pytest.mark.parametrize("model", DOCUMENTED)
def test_parameters(model: str) -> None:
    """A model has the document's parameters, requires the same ones, and is called back alike."""
    ours, theirs = MODELS[model], DOCUMENTED[model]
    wider = {"input_image_5"} if model == "flux-2-klein-9b" else set()

    assert set(ours.parameters) - set(theirs["parameters"]) == wider
    assert set(theirs["parameters"]) <= set(ours.parameters)
    assert {name for name, one in ours.parameters.items() if one.required} == {
        name for name, rule in theirs["parameters"].items() if rule.get("required")
    }
    assert ours.webhook == theirs["webhook"]
    assert ours.source.endswith(theirs["schema"])


@pytest.mark.parametrize("model", DOCUMENTED)
def test_unknown_parameter(model: str, settings: Settings) -> None:
    """An unknown parameter is refused, though most endpoints ignore it: a slip costs an image."""
    assert field_errors_for(MODELS[model], "promt", "x", settings) == ["input.promt"]
    assert documented_verdict(model, "promt", "x") == (model not in STRICT)
