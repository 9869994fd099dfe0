"""`python -m benchmarks.probes.waiting_clients`: many requests that wait, each on a connection.

Reads what to do as one line of JSON on its input, writes `waiting` once all requests are sent, and
when each answer came (`time.monotonic`, which all processes of a machine share) once all expected
ones have.
"""

import asyncio
import json
import sys
import time
from typing import Any

_HOST = "127.0.0.1"


class _Waiter(asyncio.Protocol):
    """One connection with one request."""

    def __init__(self, job: str, request: bytes, came: "asyncio.Queue[tuple[str, float]]") -> None:
        self._job = job
        self._request = request
        self._came = came

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        if isinstance(transport, asyncio.Transport):
            transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Note when the answer came; a wait that ended without an end counts for nothing."""
        if b'"ended_at":"' in data:
            self._came.put_nowait((self._job, time.monotonic()))


async def _wait(order: dict[str, Any]) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    came: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
    transports = []
    for job in order["jobs"]:
        lines = [f"GET /v1/jobs/{job}?wait=60 HTTP/1.1", "host: x", f"x-key: {order['key']}"]
        request = "\r\n".join([*lines, "", ""]).encode()
        transport, _ = await loop.create_connection(
            lambda job=job, request=request: _Waiter(job, request, came),  # type: ignore[misc] # bound
            _HOST,
            order["port"],
        )
        transports.append(transport)
    sys.stdout.write("waiting\n")
    sys.stdout.flush()
    found = [await came.get() for _ in range(order["answers"])]
    for transport in transports:
        transport.abort()
    return dict(found)


def main() -> None:
    """Do what the input says."""
    order = json.loads(sys.stdin.readline())
    sys.stdout.write(json.dumps(asyncio.run(_wait(order))) + "\n")


if __name__ == "__main__":
    main()
