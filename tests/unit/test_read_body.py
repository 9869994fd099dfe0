"""A body is read in bounded time and size, whoever sends it."""

import time
from collections.abc import Iterator

import httpx
import pytest

from worker.network.guarded_http import TooLarge, TooSlow, read_body


def _answer(*parts: bytes) -> httpx.Response:
    def stream() -> Iterator[bytes]:
        yield from parts

    return httpx.Response(200, content=stream())


def test_a_body_that_comes_in_time_is_returned() -> None:
    """All of its parts, in order."""
    soon = time.monotonic() + 60
    assert read_body(_answer(b"a", b"b", b"c"), limit=3, give_up_at=soon) == b"abc"


def test_a_body_that_trickles_is_given_up() -> None:
    """The time limit holds for the whole body, however quickly each part comes."""
    with pytest.raises(TooSlow):
        read_body(_answer(b"a", b"b"), limit=3, give_up_at=time.monotonic() - 1)


def test_a_body_that_is_too_large_is_given_up_or_cut() -> None:
    """Where its beginning is enough, that is returned."""
    soon = time.monotonic() + 60
    with pytest.raises(TooLarge):
        read_body(_answer(b"ab", b"cd"), limit=3, give_up_at=soon)
    assert read_body(_answer(b"ab", b"cd", b"ef"), limit=3, give_up_at=soon, cut=True) == b"abcd"
