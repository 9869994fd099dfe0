"""`python -m benchmarks.floors.bare_http PORT`: the same bytes for every request.

It tests the load generator.
"""

import asyncio
import sys

from benchmarks.probes import http_wire

_ANSWER = http_wire.answer(b'{"id": "0"}', "202 Accepted")


class Trivial(asyncio.Protocol):
    """Takes each piece of data for one request, which holds for requests of a few hundred bytes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer."""
        if data and isinstance(self._transport, asyncio.Transport):
            self._transport.write(_ANSWER)


async def _main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Trivial, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
