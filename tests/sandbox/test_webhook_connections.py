"""The connections over which webhooks go."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sandbox.webhooks.outgoing import ConnectError, HttpSender, PostError

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
ANSWER = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}"
LAST = ANSWER.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")


class Place:
    """A receiver that notes what came over which connection."""

    def __init__(self, answer: bytes, *, hangs_up: bool = False) -> None:
        self.answer, self.hangs_up = answer, hangs_up
        self.seen: list[list[bytes]] = []
        self.gone = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each request of one connection."""
        heads: list[bytes] = []
        self.seen.append(heads)
        try:
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                await reader.readexactly(4)
                writer.write(self.answer)
                await writer.drain()
                if self.hangs_up:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()
        self.gone.set()


def against(
    place: Callable[[], Place], act: Callable[[Place, HttpSender, str], Awaitable[None]]
) -> None:
    """Do something with a poster and a receiver."""

    async def run() -> None:
        there, poster = place(), HttpSender()
        server = await asyncio.start_server(there.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            await act(there, poster, f"http://127.0.0.1:{port}/a%20b?c=d")
        finally:
            poster.close()
            server.close()

    asyncio.run(asyncio.wait_for(run(), 15))


def test_one_connection_is_used_again() -> None:
    """Two webhooks, one connection; the second request is whole."""

    async def act(there: Place, poster: HttpSender, url: str) -> None:
        for _ in range(2):
            assert await poster.post(url, b"body", [(b"x-one", b"1")]) == 202
        (heads,) = there.seen
        assert [head.split(b"\r\n")[0] for head in heads] == [b"POST /a%20b?c=d HTTP/1.1"] * 2
        assert b"\r\nx-one: 1\r\n" in heads[1]

    against(lambda: Place(ANSWER), act)


@pytest.mark.parametrize(("answer", "hangs_up"), [(ANSWER, True), (LAST, False)])
def test_a_closed_connection_is_not_used_again(answer: bytes, hangs_up: bool) -> None:
    """Whether the receiver announced it or not."""

    async def act(there: Place, poster: HttpSender, url: str) -> None:
        assert await poster.post(url, b"body", []) == 202
        await there.gone.wait()
        assert await poster.post(url, b"body", []) == 202
        assert len(there.seen) == 2

    against(lambda: Place(answer, hangs_up=hangs_up), act)


@pytest.mark.parametrize("answer", [b"", b"no HTTP at all\r\n\r\n"])
def test_an_answer_that_is_none_is_an_error(answer: bytes) -> None:
    """A receiver that hangs up without a word, and one that speaks something else."""

    async def act(_there: Place, poster: HttpSender, url: str) -> None:
        with pytest.raises(PostError):
            await poster.post(url, b"body", [])

    against(lambda: Place(answer, hangs_up=True), act)


def test_a_field_stays_in_its_line() -> None:
    """A secret with a line break in it is not sent."""

    async def act(there: Place, poster: HttpSender, url: str) -> None:
        with pytest.raises(PostError, match="cannot be sent"):
            await poster.post(url, b"body", [(b"x-webhook-secret", b"a\r\nx-other: b")])
        assert there.seen == []

    against(lambda: Place(ANSWER), act)


def test_an_address_of_something_else_is_an_error() -> None:
    """Only HTTP is spoken."""

    async def run() -> None:
        with pytest.raises(ConnectError):
            await HttpSender().post("ftp://127.0.0.1/a", b"body", [])

    asyncio.run(run())
