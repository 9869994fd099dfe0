"""Errors in the provider's format."""

import json

import pytest

from service.drop_in.errors import provider_error
from service.http.problems import FieldError, invalid


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
