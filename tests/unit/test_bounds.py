"""Every bound of every parameter of every model, below, at and above."""

import base64
import json
from typing import Any

import pytest

from core.jobs.input_places import with_values
from core.provider.catalogue import MODELS
from core.settings.settings import Settings
from service.intake.job_request import parse_job
from tests.boundary_values import bounds, field_errors, field_errors_for
from tests.model_inputs import FORMS, full, minimal, parameters_of, selection

PARAMETERS = [
    (model, mode, name) for model, mode in FORMS for name in parameters_of(MODELS[model], mode)
]


@pytest.mark.parametrize(("model", "mode", "name"), PARAMETERS)
def test_bounds(model: str, mode: str, name: str, settings: Settings) -> None:
    """What lies at a bound is taken, what lies beyond it is refused, and that field is named."""
    entry = MODELS[model]
    inside, outside = bounds(parameters_of(entry, mode)[name])
    for value in inside:
        assert field_errors_for(entry, name, value, settings, mode) == [], value
    for value in outside:
        assert field_errors_for(entry, name, value, settings, mode) == [f"input.{name}"], value


def test_bounds_are_tried() -> None:
    """The values above are not empty by mistake: each bound in the data brings some."""
    side = MODELS["flux-pro-1.1"].parameters["width"]
    assert bounds(side) == ([256, 288, 1440, 1408], [224, 257, 1472, 1439])
    guidance = MODELS["flux-2-flex"].parameters["guidance"]
    assert bounds(guidance) == ([1.5, 1.51, 10, 9.99], [1.49, 10.01])
    user = MODELS["flux-dev"].parameters["user"]
    assert [len(value) for value in bounds(user)[0] + bounds(user)[1]] == [1, 256, 0, 257]


@pytest.mark.parametrize(("model", "mode"), FORMS)
def test_each_required_parameter_is_missed(model: str, mode: str, settings: Settings) -> None:
    """A model without its required parameters hears of all of them, whether absent or null."""
    entry = MODELS[model]
    parameters = parameters_of(entry, mode)
    required = [f"input.{name}" for name, one in parameters.items() if one.required]
    for given in ({}, dict.fromkeys(parameters)):
        assert field_errors(entry, selection(entry, mode) | given, settings) == required


@pytest.mark.parametrize(("model", "mode"), FORMS)
def test_minimal_and_full_inputs(model: str, mode: str, settings: Settings) -> None:
    """The least and the most a model takes are taken, and kept as they came, files apart."""
    for given in (minimal(MODELS[model], mode), full(MODELS[model], mode)):
        job = parse_job({"model": model, "input": given}, settings)

        files = {place: one.file.read() for place, one in job.files.items()}
        encoded = {place: base64.b64encode(data).decode() for place, data in files.items()}
        assert with_values(job.input, encoded) == given
        assert not any(text in json.dumps(job.input) for text in encoded.values())


@pytest.mark.parametrize(("model", "mode"), FORMS)
def test_everything_wrong_at_once(model: str, mode: str, settings: Settings) -> None:
    """A body whose every parameter is wrong hears of each of them, and of one that is none."""
    entry = MODELS[model]
    names = [*parameters_of(entry, mode), "webhook_url"]
    given: dict[str, Any] = selection(entry, mode) | {name: [] for name in names}
    assert field_errors(entry, given, settings) == [f"input.{name}" for name in names]
