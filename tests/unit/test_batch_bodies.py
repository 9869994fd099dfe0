"""Items are found in a batch's body wherever it is cut into pieces."""

import json
from typing import Any

import pytest

from service.batches.json_document import JsonDocument
from service.batches.json_lines import JsonLines
from service.batches.spool import Spool
from service.batches.spooled_items import IN_DEFAULTS, SpooledItems
from service.body.json_body import parse_json
from service.body.json_scanner import LONG, FileField
from service.http.problems import Problem

_FILES = {"image": FileField(1_000_000)}
_ITEMS: list[Any] = [
    {"custom_id": "a", "input": {"prompt": 'brackets ]}, "quoted" and \\ back'}},
    {"custom_id": "b\n", "nested": [[1, 2], {"items": [3]}], "items": ["x"]},
    {"custom_id": "c", "input": {}},
]


def _pieces(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def _items(spooled: SpooledItems) -> list[tuple[int, Any]]:
    return [(one.line, parse_json(spooled.skeleton(one), one.gaps)) for one in spooled]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_are_items_however_the_body_is_cut(size: int) -> None:
    """Each line that is not empty is an item, with its number; the last needs no line break."""
    body = b"\r\n".join(json.dumps(one).encode() for one in _ITEMS[:2])
    body += b"\n\n  \n" + json.dumps(_ITEMS[2]).encode()
    spooled = SpooledItems(_FILES, 10)
    lines = JsonLines(spooled)

    for piece in _pieces(body, size):
        lines.feed(piece)
    lines.end()

    assert _items(spooled) == [(1, _ITEMS[0]), (2, _ITEMS[1]), (5, _ITEMS[2])]
    spooled.close()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("indent", [None, 2])
def test_members_of_items_are_items_however_the_body_is_cut(size: int, indent: int | None) -> None:
    """The array `items` of the outer object holds the items; the rest is the envelope."""
    envelope = {"metadata": {"items": [1]}, "defaults": {"model": "m"}, "deadline": 5}
    whole = {"note": "items", **envelope, "items": _ITEMS, "on_error": "skip"}
    spooled = SpooledItems(_FILES, 10)
    scanner = spooled.scanner(IN_DEFAULTS)
    document = JsonDocument(spooled, scanner.feed)

    for piece in _pieces(json.dumps(whole, indent=indent).encode(), size):
        document.feed(piece)
    document.end()

    assert not document.is_broken
    assert [item for _, item in _items(spooled)] == _ITEMS
    assert [line for line, _ in _items(spooled)] == [1, 2, 3]
    assert parse_json(scanner.end().skeleton) == {**whole, "items": []}
    spooled.close()


@pytest.mark.parametrize(
    "body",
    [
        b'{"items": [1,]}',
        b'{"items": [,1]}',
        b'{"items": [1,,2]}',
        b'{"items": [{}',
        b'{"items": [{}}',
        b'{"items": [{"a": "b]}',
        b'{"items": []}}',
    ],
)
def test_brackets_and_commas_that_do_not_match_are_noted(body: bytes) -> None:
    """A document whose items cannot be told apart is broken, or its envelope or item is."""
    spooled = SpooledItems(_FILES, 10)
    scanner = spooled.scanner(IN_DEFAULTS)
    document = JsonDocument(spooled, scanner.feed)

    document.feed(body)
    document.end()

    assert document.is_broken
    spooled.close()


@pytest.mark.parametrize("name", ['"items"', '"\\u0069tems"'])
def test_files_lie_apart_from_the_items(name: str) -> None:
    """A long image leaves a reference in its item, and lies in the spool with its bytes."""
    image = "QUJD" * LONG
    item = {"input": {"image": image, "prompt": "p"}}
    body = f'{{{name}: [{json.dumps(item)}], "defaults": {{"input": {{"image": "{image}"}}}}}}'
    spooled = SpooledItems(_FILES, 10)
    scanner = spooled.scanner(IN_DEFAULTS)
    document = JsonDocument(spooled, scanner.feed)

    for piece in _pieces(body.encode(), 50_000):
        document.feed(piece)
    document.end()

    (only,) = spooled.items
    (inline,) = only.files.values()
    assert only.size < 200
    assert inline.file.read() == b"ABC" * LONG
    (default,) = scanner.end().files.values()
    assert default.file.read() == b"ABC" * LONG
    spooled.close()


def test_more_items_than_allowed_are_not_read() -> None:
    """One line may be the options; the item after the last that is allowed ends the reading."""
    lines = JsonLines(spooled := SpooledItems(_FILES, 2))

    with pytest.raises(Problem, match="more than 2 items"):
        lines.feed(b"{}\n{}\n{}\n{}\n")
    spooled.close()


def test_files_of_a_spool_are_read_apart() -> None:
    """Each file of a spool begins at its own start, and ends where the next one begins."""
    spool = Spool()
    first, second = spool.open(), None
    first.write(b"one")
    first.write(b" two")
    second = spool.open()
    second.write(b"three")

    assert first.seek(0, 2) == 7
    assert first.seek(2) == 2
    assert first.read(3) == b"e t"
    assert first.read() == b"wo"
    assert second.seek(0) == 0
    assert second.read() == b"three"
    spool.close()
