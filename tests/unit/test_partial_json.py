"""What is understood of an answer that is too large to be read to its end."""

import json

import pytest

from core.provider.partial_json import leading_members

WHOLE = {"id": "t1", "status": "Ready", "result": {"sample": "https://x/y", "n": [1, "}"]}}


def test_members_before_the_cut_are_read() -> None:
    """The provider says what counts first, and what is large last."""
    raw = json.dumps(WHOLE)[:-1].encode() + b', "preview": "' + b"A" * 100_000

    assert json.loads(leading_members(raw)) == WHOLE


@pytest.mark.parametrize("cut", range(len(json.dumps({"a": 123, "b": 'x\\"y'}))))
def test_a_member_that_is_cut_is_none(cut: int) -> None:
    """Half a number is another number, half a text another text."""
    whole = {"a": 123, "b": 'x\\"y'}
    read = json.loads(leading_members(json.dumps(whole)[:cut].encode()))

    assert read.items() <= whole.items()


@pytest.mark.parametrize("raw", [b"", b"[1, 2", b'"id"', b"{", b"{1: 2}", b"\xff{", b"{" * 9999])
def test_what_is_no_object_has_no_members(raw: bytes) -> None:
    """It says nothing, and breaks nothing."""
    assert leading_members(raw) == b"{}"


def test_what_is_nested_too_deeply_ends_the_reading() -> None:
    """What came before it counts."""
    raw = b'{"id": "t1", "details": ' + b"[" * 200_000

    assert json.loads(leading_members(raw)) == {"id": "t1"}
