"""What is no JSON is found beside images too, and at its place in the body as it was sent."""

from collections.abc import Iterable

import pytest

from service.body.json_body import parse_json
from service.http.problems import Problem
from tests.unit.scanner_cases import TEXT, at_every, scan, whole


def _field_error(pieces: Iterable[bytes]) -> str:
    with pytest.raises(Problem) as caught:
        whole(scan(pieces))
    return caught.value.detail


MISTAKES = [
    ('{"input": {"image": "%s" "mask": 1}}', "Expecting ',' delimiter"),
    ('{"input": {"image": "%s", }}', "Expecting property name"),
    ('{"input": {"a": tru, "image": "%s"}}', "Expecting value"),
    ('{\n "input": {"image": "%s"},\n "x": [1, 2\n}', "Expecting ',' delimiter"),
    ('{"input": {"image": "%s", "mask": "%s"} x}', "Expecting ',' delimiter"),
    ('{"input":\n{"image": "%s", "mask": "%s"}} x', "Extra data"),
    ('{"input": {"image": "%s\n"}}', "Invalid control character"),
    ('{"input": {"mask": "%s", "image": "%s\x01AAAA"}}', "Invalid control character"),
    ('{"input": {"image": "%s\\x41"}}', "Invalid \\escape"),
    ('{"input": {"image": "%s\\u12"}}', "Invalid \\uXXXX escape"),
    ('{"input": {"image": "%s\\uzzzz"}}', "Invalid \\uXXXX escape"),
    ('{"ä": "😀", "input": {"image": "%s"}, }', "Expecting property name"),
    ('{"input": {"image": "%s', "Unterminated string"),
    ('{"input": {"mask": "%s", "image": "%s\\', "Unterminated string"),
    ('{"input": {"image": "%s"', "Expecting ',' delimiter"),
    ('{"input": {"image": %s"}}', "Expecting value"),
    ('{"input": {"image": "%s"}}"', "Extra data"),
    ('{\'input\': {"image": "%s"}}', "Expecting property name"),
]


@pytest.mark.parametrize(("template", "words"), MISTAKES)
def test_the_place_of_a_mistake(template: str, words: str) -> None:
    """What is wrong, and where, is said as it is of the body as a whole."""
    raw = template.replace("%s", TEXT).encode()
    with pytest.raises(Problem) as caught:
        parse_json(raw)

    for size in (len(raw), 20_001, 333):
        detail = _field_error(raw[at : at + size] for at in range(0, len(raw), size))
        assert words in detail
        assert detail == caught.value.detail


@pytest.mark.parametrize(
    "raw",
    [
        b'{"input": {"image": "%b\xff"}}',
        b'{"input": {"image": "%b\xc3"}}',
        b'{"input": {"image": "%b\xc3AAAA"}}',
        b'{"input": {"image": "%b"}, "x": "\xff"}',
        b'{"input": {"image": "%b"}, "x": NaN}',
        b'{"input": {"image": "%b"}, "x": 1e999}',
        b'{"input": {"image": "%b"}, "x": ' + b"[" * 100_000,
        b"[" * 100_000 + b'{"input": {"image": "%b"}}',
    ],
)
def test_other_mistakes(raw: bytes) -> None:
    """Broken UTF-8, numbers that are none and depths are found beside images, cut anywhere."""
    body = raw.replace(b"%b", TEXT.encode())
    edge = body.index(TEXT.encode()) + len(TEXT)

    for pieces in at_every(body, range(edge - 3, edge + 4)):
        assert "not valid JSON" in _field_error(pieces)
