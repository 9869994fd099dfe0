"""A client that does not read its answer holds a connection, and memory, for a while only."""

import asyncio

import pytest

from service.server import lingering_close
from service.server.lingering_close import Pace
from tests.http.gated_server import gated
from tests.http.raw_http import head

#: More than all buffers between two sockets of one machine hold. Bytes.
LARGE = 32 * 1024 * 1024
PIECE = 64 * 1024
LEAST = lingering_close.TAKE_BYTES


async def _is_cut_off(pieces: list[bytes], *headers: str) -> None:
    async with gated() as app, app.client() as (_reader, writer):
        app.answer = pieces
        app.gate.set()
        writer.write(head("GET", "/", *headers))
        await app.lost.wait()


@pytest.mark.parametrize("headers", [(), ("connection: close",)], ids=["kept", "closed"])
@pytest.mark.parametrize("size", [LARGE, PIECE], ids=["at once", "in pieces"])
def test_who_does_not_read_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, size: int, headers: tuple[str, ...]
) -> None:
    """Whether the application is done with the answer or not, the connection's place is free."""
    monkeypatch.setattr(lingering_close, "TAKE_SECONDS", 0.1)
    asyncio.run(_is_cut_off([b"x" * size] * (LARGE // size), *headers))


def test_a_slow_reader_keeps_pace() -> None:
    """So many bytes at each look are enough, however many are left."""
    pace = Pace()
    pace.wrote(100 * LEAST, left_before=0)

    for left in range(99, 0, -1):
        assert pace.is_kept(left * LEAST)
    assert not pace.is_kept(LEAST)


def test_who_takes_less_does_not() -> None:
    """A byte now and then holds a connection for ever."""
    pace = Pace()
    pace.wrote(10 * LEAST, left_before=0)

    assert pace.is_kept(9 * LEAST)
    assert not pace.is_kept(8 * LEAST + 1)


def test_who_had_taken_everything_meanwhile_keeps_pace() -> None:
    """It was the answer that was slow; the next part of it came just before the look."""
    pace = Pace()
    pace.wrote(10, left_before=0)
    assert pace.is_kept(10)
    pace.wrote(LEAST, left_before=0)

    assert pace.is_kept(LEAST)
    assert not pace.is_kept(LEAST)


def test_what_is_written_while_something_is_left_gives_no_time() -> None:
    """Else an answer in pieces would never be given up."""
    pace = Pace()
    pace.wrote(LEAST, left_before=0)
    assert pace.is_kept(0)
    pace.wrote(LEAST, left_before=10)

    assert not pace.is_kept(LEAST + 10)
