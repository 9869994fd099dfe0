"""What a service sends, compared with its OpenAPI document."""

import json
from collections.abc import Mapping
from typing import Any

from jsonschema_rs import Draft202012Validator

from tests.http.conftest import Caller
from tests.http.sse import Frame


def assert_fits(api: Caller, schema: Mapping[str, Any], value: Any) -> None:
    """Assert that a schema, with the references of the document, accepts a value."""
    components = api.get("/openapi.json").json()["components"]
    validator = Draft202012Validator({**schema, "components": components}, validate_formats=True)
    assert [error.message for error in validator.iter_errors(value)] == []


def assert_described(api: Caller, path: str, frame: Frame) -> None:
    """Assert that an event, and the JSON in its data, are as the document says of a stream.

    Args:
        api: Reads the document.
        path: The stream, as the document names it.
        frame: The event.
    """
    answer = api.get("/openapi.json").json()["paths"][path]["get"]["responses"]["200"]
    item = answer["content"]["text/event-stream"]["x-itemSchema"]
    assert_fits(api, item, frame.fields)
    (kind,) = (
        one
        for one in item.get("oneOf", [item])
        if frame.event in one["properties"]["event"]["enum"]
    )
    data = kind["properties"]["data"]
    assert data["contentMediaType"] == "application/json"
    assert_fits(api, data["contentSchema"], json.loads(frame.fields["data"]))
