"""Errors in the provider's format, and paths that do not have it."""

import json

import pytest
from starlette.routing import Route

from core.provider.catalogue import MODELS
from core.settings.settings import Settings
from service.app import create_app
from service.drop_in.errors import in_shape_of, provider_error
from service.http.problems import FieldError, invalid, stopped

_PROBLEM = "application/problem+json"
#: Paths of the provider's API.
_THEIRS = {"/v1/get_result", "/v1/samples/{name}", "/v1/credits"}


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("input.prompt", ["body", "prompt"]),
        ("input.images[3]", ["body", "images", 3]),
        ("input.keyframes[10][1]", ["body", "keyframes", 10, 1]),
        ("input.odd[", ["body", "odd["]),
        ("input.odd[x]", ["body", "odd[x]"]),
        ("input.[0]", ["body", "[0]"]),
        ("input", ["body"]),
        ("query.id", ["query", "id"]),
        ("callback.url", ["body", "webhook_url"]),
    ],
)
def test_the_place_of_an_error(field: str, place: list[str | int]) -> None:
    """A position in an array is a number of its own, as the provider's validation has it."""
    answer = provider_error(invalid([FieldError(field, "is empty", "a text", "send one")]))

    (error,) = json.loads(bytes(answer.body))["detail"]
    assert error["loc"] == place


def test_each_path_has_the_errors_of_its_api(settings: Settings) -> None:
    """What is on none of the provider's paths is answered with problem documents."""
    for route in create_app(settings).routes:
        assert isinstance(route, Route)
        theirs = route.name in MODELS or route.path in _THEIRS
        answer = in_shape_of(route.path, stopped())
        assert (answer.media_type == _PROBLEM) is not theirs, route.path


@pytest.mark.parametrize(
    ("path", "is_ours"),
    [
        ("/v1/batches/x/y/z", True),
        ("//v1//Batches/", True),
        ("/v1/./events", True),
        ("/v1/callbacks/", True),
        ("/v1/jobsx", False),
        ("/v1/flux-9", False),
        ("/", False),
    ],
)
def test_a_path_that_is_not_there(path: str, *, is_ours: bool) -> None:
    """It has the errors of the API that it was probably meant for."""
    assert (in_shape_of(path, stopped()).media_type == _PROBLEM) is is_ours
