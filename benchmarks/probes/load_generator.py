"""`python -m benchmarks.probes.load_generator`: many connections, no pauses.

Reads what to do as one line of JSON on its input, writes what it saw as JSON. It is a process of
its own, so that it competes with what it measures for cores and not for an interpreter.
"""

import asyncio
import json
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, NamedTuple

from benchmarks.probes import http_wire

_HOST = "127.0.0.1"


class Exchange(NamedTuple):
    """One request: when it was sent (seconds), how long it took, and the answer."""

    sent_at: float
    seconds: float
    status: int
    body: bytes


class _Client(asyncio.Protocol):
    """One connection: sends a request, waits for its answer, sends the next."""

    def __init__(self, requests: Iterator[bytes], seen: list[Exchange], keep: bool) -> None:
        self._requests = requests
        self._seen = seen
        self._keep = keep
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._send()

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head = self._buffer[:end]
        if len(self._buffer) < end + http_wire.length_of(head):
            return
        now = time.perf_counter()
        body = self._buffer[end:] if self._keep else b""
        status = int(head[9:12])
        self._seen.append(Exchange(self._sent_at, now - self._sent_at, status, body))
        self._buffer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, early if the server wanted it."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed a connection"))

    def _send(self) -> None:
        following = next(self._requests, None)
        if self._transport is None or following is None:
            if not self.done.done():
                self.done.set_result(None)
            if self._transport:
                self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(following)


def drive(
    port: int, requests: Iterable[bytes], connections: int, *, keep: bool = True
) -> list[Exchange]:
    """Send all requests over so many connections and return what came, in order of the ends.

    Args:
        port: Of a loopback server.
        requests: Taken one by one, whenever a connection is free.
        connections: How many.
        keep: Whether to keep the answers' bodies.

    Raises:
        OSError: The server went away.
    """
    return asyncio.run(_drive(port, iter(requests), connections, keep=keep))


async def _drive(
    port: int, requests: Iterator[bytes], connections: int, *, keep: bool
) -> list[Exchange]:
    seen: list[Exchange] = []
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: _Client(requests, seen, keep), _HOST, port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for client in clients))
    return seen


def until(deadline: float, make: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield requests until a moment of `time.perf_counter`."""
    for number in count():
        if time.perf_counter() >= deadline:
            return
        yield make(number)


def _maker(order: dict[str, Any]) -> Callable[[int], bytes]:
    """Return what makes the requests that an order asks for."""
    host = f"{_HOST}:{order['port']}"
    body = order.get("body", "").encode()
    headers = order.get("headers", {})
    plain = http_wire.request(order["method"], order["path"], host, body, **headers)
    if not order.get("keyed"):
        return lambda _number: plain
    run, (line, rest) = uuid.uuid4().hex, plain.split(b"\r\n", 1)
    return lambda number: line + f"\r\nidempotency-key: {run}-{number}\r\n".encode() + rest


def main() -> None:
    """Do what the input says."""
    order = json.loads(sys.stdin.readline())
    began = time.perf_counter()
    requests = until(began + order["seconds"], _maker(order))
    seen = drive(order["port"], requests, order["connections"], keep=False)
    lasted = time.perf_counter() - began
    answer = {
        "rate": len(seen) / lasted,
        "latencies": [exchange.seconds for exchange in seen],
        "statuses": Counter(str(exchange.status) for exchange in seen),
    }
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
