"""A batch in a form that is not the one its `Content-Type` names: the answer says what to do."""

import json
from typing import Any, Final

import httpx
import pytest

from tests.http.batch_calls import LINES, item, lines, send
from tests.http.conftest import Caller
from tests.http.test_dead_letters import problem

_FORM: Final = "application/x-www-form-urlencoded"  # what curl sends unless it is told otherwise
_ITEMS: Final = [item("one"), item("two"), item("three")]


def _post(api: Caller, body: bytes, content_type: str | None) -> httpx.Response:
    headers = {"authorization": f"Bearer {api.key}"}
    if content_type:
        headers["content-type"] = content_type
    return api.client.post("/v1/batches", content=body, headers=headers)


@pytest.mark.parametrize("content_type", [None, _FORM, "application/json", "text/plain"])
@pytest.mark.parametrize(
    "body",
    [
        lines(*_ITEMS),
        lines({"defaults": {"model": "flux-pro-1.1"}}, *_ITEMS),
        lines(*_ITEMS).replace(b"\n", b""),  # as `curl -d @file` sends it
        b'{"custom_id": "a"\n' + lines(*_ITEMS),
        lines(*_ITEMS) + b'{"custom_id": "a"',
        lines(*({"prompt": "x" * 100_000} for _ in range(30))),  # more than a document may have
    ],
    ids=["items", "options", "one line", "broken first", "broken last", "large"],
)
def test_lines_without_their_content_type(
    api: Caller, body: bytes, content_type: str | None
) -> None:
    """Whoever sends lines as one document is told the media type, and how curl keeps lines."""
    document = problem(_post(api, body, content_type), 400, "invalid-json")

    assert "Content-Type: application/x-ndjson" in document["detail"]
    assert "--data-binary" in document["detail"]


@pytest.mark.parametrize("content_type", [None, _FORM])
def test_one_line_without_its_content_type(api: Caller, content_type: str | None) -> None:
    """A single item is a whole document, which lacks `items`."""
    document = problem(_post(api, lines(item("a")), content_type), 422, "invalid-fields")

    (error,) = (one for one in document["errors"] if one["field"] == "items")
    assert error["detail"] == "is missing"
    assert "application/x-ndjson" in error["fix"]


def test_a_document_sent_as_lines(api: Caller) -> None:
    """It is told of as such, not as a field that nobody knows."""
    body = json.dumps({"items": _ITEMS, "on_error": "skip"}).encode()

    document = problem(_post(api, body, LINES), 422, "invalid-fields")

    (error,) = document["errors"]
    assert (error["field"], error["detail"]) == ("items", "is given in NDJSON")
    assert "application/json" in error["fix"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (lines(*_ITEMS, item("four")).replace(b"}\n{", b"}{"), "Extra data at line 1, column "),
        (lines(*_ITEMS) + b'{"custom_id": "four" "x"}\n', "at line 4, column 22"),
        (b"\n\n" + lines(item("one")) + b'\n{"custom_id" }\n', "at line 5, column 14"),
    ],
    ids=["line breaks lost", "last", "behind empty lines"],
)
def test_a_line_that_is_no_json(api: Caller, body: bytes, place: str) -> None:
    """The text names the line that `line` names, and how line breaks are kept."""
    document = problem(send(api, body), 422, "invalid-items")

    (error,) = document["errors"]
    assert error["field"] == "item"
    assert error["detail"].startswith("is not valid JSON (")
    assert place in error["detail"]
    assert f"at line {error['line']}, column " in error["detail"]
    assert error["allowed"] == "one JSON object per line"
    assert "--data-binary" in error["fix"]


def test_a_line_with_one_name_twice(api: Caller) -> None:
    """It is named by its number alone."""
    body = lines(item("a")) + b'{"custom_id": "b", "custom_id": "c"}\n'

    (error,) = problem(send(api, body), 422, "invalid-items")["errors"]

    assert error["line"] == 2
    assert error["detail"].startswith("has an object with two fields named 'custom_id'")


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ('{"custom_id" "a"}', "Item 2 is not valid JSON (Expecting ':' delimiter at line 1, col"),
        ('{"a": NaN}', "Item 2 is not valid JSON: NaN is no value"),
        ('{"a": 1, "a": 2}', "Item 2 has an object with two fields named 'a'"),
    ],
)
def test_an_item_of_a_document_that_is_no_json(api: Caller, second: str, said: str) -> None:
    """It is named by its position; the place of the error is one in its own text."""
    body = f'{{"items": [{json.dumps(item("a"))}, {second}]}}'.encode()

    answer: Any = _post(api, body, "application/json")

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(said)
    assert ("of its text" in answer.json()["detail"]) == ("line 1" in said)
