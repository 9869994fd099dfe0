"""Errors about fields name what was sent as JSON has it, and a fix that helps."""

from typing import Any

import pytest

from core.settings.settings import Settings
from service.api.job_filters import FilterReader
from service.http.caller_values import shown
from service.http.problems import FieldError, Problem
from service.intake.job_request import parse_job

_GOOD: dict[str, Any] = {"model": "flux-kontext-pro", "input": {"prompt": "p"}}


def _error(settings: Settings, field: str, body: dict[str, Any]) -> FieldError:
    """Return the one error about a body, which is about this field."""
    with pytest.raises(Problem) as caught:
        parse_job(body, settings)
    (error,) = caught.value.errors
    assert error.field == field
    return error


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        ([1, False, None, "a"], '[1, false, null, "a"]'),
        ({"a": {"b": 1.5}}, '{"a": {"b": 1.5}}'),
        ("text", "'text'"),
        (7, "7"),
        ("\ud800é", "'\\ud800é'"),
    ],
)
def test_a_value_is_shown_as_its_caller_wrote_it(value: object, text: str) -> None:
    """JSON has neither None nor True."""
    assert shown(value) == text


@pytest.mark.parametrize("given", ["x", [], 7, True])
def test_metadata_of_another_kind_is_not_too_long(settings: Settings, given: object) -> None:
    """To shorten it would not help."""
    assert _error(settings, "metadata", _GOOD | {"metadata": given}).fix.startswith("send an obj")


@pytest.mark.parametrize("body", [{"model": "flux-kontext-pro"}, _GOOD | {"input": None}])
def test_an_input_that_was_not_sent_is_missing(settings: Settings, body: dict[str, Any]) -> None:
    """As for every other field, null is as good as nothing."""
    assert _error(settings, "input", body).detail == "is missing"


@pytest.mark.parametrize("given", ["https://example.com/done", [], 7])
def test_a_callback_that_is_no_object(settings: Settings, given: object) -> None:
    """Its events may be left out, and the fix does not ask for them."""
    fix = _error(settings, "callback", _GOOD | {"callback": given}).fix
    assert fix == "send an object with url, and optionally events"


def test_an_output_that_is_no_object(settings: Settings) -> None:
    """Either of its fields will do."""
    error = _error(settings, "output", _GOOD | {"output": "fox.jpg"})
    assert error.fix == "send an object with key, bucket or both"


@pytest.mark.parametrize(
    ("model", "name", "takes_urls"),
    [
        ("flux-kontext-pro", "input_image", True),
        ("flux-2-pro", "input_image", True),
        ("flux-pro-1.1", "image_prompt", False),
    ],
)
def test_a_file_that_is_no_base64(
    settings: Settings, model: str, name: str, *, takes_urls: bool
) -> None:
    """The error speaks of URLs where, and only where, the model takes one."""
    body = {"model": model, "input": {"prompt": "p", name: "no base64!"}}
    error = _error(settings, f"input.{name}", body)
    assert ("its http(s) URL" in error.allowed) == takes_urls
    assert ("URL" in error.detail) == takes_urls


@pytest.mark.parametrize(("name", "given"), [("prompt", 7), ("prompt", ["a"]), ("seed", "a")])
def test_only_what_is_optional_may_be_left_out(
    settings: Settings, name: str, given: object
) -> None:
    """A required parameter has to be sent."""
    body = {"model": "flux-kontext-pro", "input": {"prompt": "p", name: given}}
    assert ("leave" in _error(settings, f"input.{name}", body).fix) == (name == "seed")


@pytest.mark.parametrize("given", ["yesterday", True, [1]])
def test_a_required_time_may_not_be_left_out(settings: Settings, given: object) -> None:
    """That of a replay is one; those of lists are optional."""
    for required in ([], ["since"]):
        reader = FilterReader(settings, required=required)
        reader.period("since", "until", {"since": given, "until": given})
        fixes = {error.field: "leave it out" in error.fix for error in reader.errors}
        assert fixes == {"since": not required, "until": True}
