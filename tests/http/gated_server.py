"""A server whose application answers when a test lets it, on a real socket in the test's loop."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from service.http.problems import Problem
from service.server.connection import Connection
from service.server.connections import Connections
from service.server.limits import Limits

#: Seconds after which a wait of a test is an error; longer than any of them.
_PATIENCE = 60


@dataclass
class Gated:
    """What the application saw, and what it waits for."""

    #: Opens the way to all answers.
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    #: Set once the client's end of the connection was seen.
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    #: Set once a caller was found to have left before its body was whole.
    left: asyncio.Event = field(default_factory=asyncio.Event)
    #: Set once a request was refused before the application saw it.
    refused: asyncio.Event = field(default_factory=asyncio.Event)
    #: Set once a connection was lost.
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    #: What is answered instead of the path.
    answer: Sequence[bytes] = ()
    #: Paths of the requests whose body came whole.
    taken: list[str] = field(default_factory=list)
    port: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body, wait, and answer with the path, or with what is to be answered."""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left.set()
                return
            more = message["more_body"]
        self.taken.append(scope["path"])
        await self.gate.wait()
        pieces = self.answer or [scope["path"].encode()]
        headers = [(b"content-length", b"%d" % sum(map(len, pieces)))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    @asynccontextmanager
    async def client(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect."""
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                yield reader, writer
            finally:
                writer.close()


@asynccontextmanager
async def gated() -> AsyncIterator[Gated]:
    """Serve until the context is left."""
    app = Gated()

    class Seen(Connection):
        def eof_received(self) -> bool | None:  # type: ignore[override] # as asyncio has it
            kept: bool | None = super().eof_received()
            app.ended.set()
            return kept

        def _refuse(self, problem: Problem) -> None:
            super()._refuse(problem)
            app.refused.set()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            app.lost.set()

    config = uvicorn.Config(app, ws="none", log_config=None)
    config.load()
    state, all_of_them = ServerState(), Connections(Limits(60, 60, 100))
    server = await asyncio.get_running_loop().create_server(
        lambda: Seen(all_of_them, config, state, {}), "127.0.0.1", 0
    )
    app.port = server.sockets[0].getsockname()[1]
    try:
        yield app
    finally:
        server.close()
