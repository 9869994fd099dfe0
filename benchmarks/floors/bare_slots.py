"""`python -m benchmarks.floors.bare_slots`: the floor of a slot's turn, and nothing else.

A client that answers each webhook of the sandbox by posting the next task, over connections that
stay open: it keeps nothing, checks nothing and copies nothing.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from typing import Any
from urllib.parse import urlsplit

from benchmarks.probes import http_wire

_HOST = "127.0.0.1"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answering:
    """Posts `count` tasks, so many at a time."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._port = urlsplit(order["url"]).port or 80
        self._order = order
        self._left: Iterator[bytes] = iter(())
        self._ends = 0
        self._idle: list[Streams] = []
        self._running: set[asyncio.Task[None]] = set()
        self._done = asyncio.Event()

    async def run(self) -> None:
        """Do it, until the last webhook has come."""
        server = await asyncio.start_server(self._serve, _HOST, 0, backlog=256)
        hook = f"http://{_HOST}:{server.sockets[0].getsockname()[1]}/ended"
        small = {"prompt": "a slot", "width": 256, "height": 256, "webhook_url": hook}
        body = json.dumps(small).encode()
        key = self._order["key"]
        raw = http_wire.request(
            "POST", "/v1/flux-pro-1.1", f"{_HOST}:{self._port}", body, x_key=key
        )
        self._left = repeat(raw, self._order["count"])
        for _ in range(self._order["threads"]):
            self._post_next()
        await self._done.wait()
        server.close()

    def _post_next(self) -> None:
        raw = next(self._left, None)
        if raw is not None:
            posting = asyncio.create_task(self._post(raw))
            self._running.add(posting)
            posting.add_done_callback(self._running.discard)

    async def _post(self, raw: bytes) -> None:
        streams = self._idle.pop() if self._idle else None
        reader, writer = streams or await asyncio.open_connection(_HOST, self._port)
        writer.write(raw)
        answer = await http_wire.read(reader)
        if answer.status != 200:
            sys.exit(f"a task was refused: {answer.body!r}")
        self._idle.append((reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await http_wire.read(reader)
                self._post_next()
                writer.write(http_wire.answer(b"{}"))
                self._ends += 1
                if self._ends == self._order["count"]:
                    self._done.set()


def main() -> None:
    """Do what the input says."""
    order = json.loads(sys.stdin.readline())
    asyncio.run(Answering(order).run())
    sys.stdout.write(json.dumps({"ok": order["count"]}))


if __name__ == "__main__":
    main()
