"""Files within arrays of a body that comes in pieces."""

import json
from typing import Any

import pytest

from service.body.json_scanner import ScannedBody
from tests.unit.scanner_cases import DATA, TEXT, at_every, request, scan, whole


@pytest.mark.parametrize(
    "fields",
    [
        {"images": TEXT},
        {"images": [TEXT]},
        {"images": ["aGk=", TEXT, "https://images.example/a.png", TEXT, "]"]},
        {"prompt": "[", "images": [TEXT, TEXT], "seed": 1, "mask": TEXT},
        {"images": [1, None, {"a": ["}"]}, [], TEXT, "x"], "image": TEXT},
        {"frames": TEXT},
        {"frames": [TEXT, TEXT]},
        {"frames": [[0, TEXT], [1.5, "https://images.example/a.png"], [20, TEXT]]},
        {"frames": [["[", TEXT], [], [[0, "x"], TEXT]], "images": [TEXT]},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_files_in_arrays(fields: dict[str, Any], indent: int | None) -> None:
    """A list of files and a list of pairs keep their order, wherever the text is cut."""
    raw = json.dumps(request(**fields), indent=indent).encode()
    texts = json.dumps(fields).count(TEXT)
    edge = raw.rindex(TEXT.encode())
    places = [0, *(edge + at + by for at in (0, len(TEXT)) for by in range(-5, 6))]

    for pieces in at_every(raw, [place for place in places if place < len(raw)]):
        scanned = scan(pieces)
        assert whole(scanned) == request(**_with_data(fields))
        assert len(scanned.files) == texts


def _with_data(value: Any) -> Any:
    """Return a value with the data in place of its base64."""
    if isinstance(value, dict):
        return {name: _with_data(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_with_data(child) for child in value]
    return DATA if value == TEXT else value


@pytest.mark.parametrize(
    "fields",
    [
        {"image": [TEXT]},
        {"images": [[TEXT]]},
        {"images": {"images": TEXT}},
        {"images": [{"images": TEXT}]},
        {"images": [{"a": [TEXT]}]},
        {"frames": [[[TEXT]]]},
        {"frames": [{"frames": [TEXT]}]},
        {"prompt": [TEXT], "images": ["x"]},
        {"images": ["x"], TEXT: 1},
        {"images": [], "other": [TEXT]},
    ],
)
def test_long_texts_in_other_arrays_stay(fields: dict[str, Any]) -> None:
    """A field holds files as deep as its parameter has them, and no deeper."""
    raw = json.dumps({"input": fields}).encode()

    assert scan([raw]) == ScannedBody(raw, {}, [])


def test_arrays_of_the_drop_in_api() -> None:
    """Lists at the body's top hold files as well."""
    body = {"prompt": "a", "images": [TEXT, "x"], "frames": [[0, TEXT]]}

    assert whole(scan([json.dumps(body).encode()], ())) == _with_data(body)
