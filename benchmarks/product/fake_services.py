"""`python -m benchmarks.product.fake_services PORT FOLDER`: provider and receiver in one.

The sandbox draws, validates and keeps a ledger, which costs more than what is measured here. This
fake accepts every submit, sends its webhook in time and serves one file per size with `sendfile`:
a PNG, or an mp4 if the submit contains a video. A prompt contains parameters:
`bytes=1500000 seconds=0.5-1.5 hold=1`, where `hold` is how long the result's host waits before it
answers.
"""

import asyncio
import json
import random
import re
import sys
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.probes import http_wire
from benchmarks.product import result_files

_HOST = "127.0.0.1"
_LIFETIME = 600.0  # seconds that a result's address lives

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def wanted(prompt: str, name: str, default: str) -> str:
    """Return what a prompt says of one thing."""
    found = re.search(rf"\b{name}=(\S+)", prompt)
    return found[1] if found else default


def seconds_of(text: str, chance: random.Random) -> float:
    """Return seconds from `1.0` or, evenly spread, from `0.5-1.5`."""
    low, _, high = text.partition("-")
    return chance.uniform(float(low), float(high or low))


class FakeServices:
    """The provider and the callback receiver.

    Args:
        port: Where it listens.
        folder: Where the files of results are kept.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self._url = f"http://{_HOST}:{port}"
        self._folder = folder
        self._files: dict[str, result_files.ResultFile] = {}
        self._idle: list[Streams] = []
        self._running: set[asyncio.Task[None]] = set()
        self._chance = random.Random(1)  # noqa: S311 - the same load in every run
        self._active = 0
        self._most_active = 0
        self._forget()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                message = await http_wire.read(reader)
                if message.target.startswith("/results/"):
                    await self._send_result(message.target, writer)
                else:
                    writer.write(self._answer(message))
                    await writer.drain()
        writer.close()

    def _answer(self, message: http_wire.Message) -> bytes:
        target = message.target
        if target.startswith("/callbacks"):
            self._callbacks[message.webhook_id] = time.time()
            return http_wire.answer(status="204 No Content")
        if message.method == "POST":
            return http_wire.answer(json.dumps(self._take(json.loads(message.body))).encode())
        if target == "/fake/books":
            return http_wire.answer(json.dumps(self._books()).encode())
        if target == "/fake/reset":
            self._forget()
            return http_wire.answer(b"{}")
        if target.startswith("/v1/credits"):
            return http_wire.answer(b'{"credits": 1000000}')
        return http_wire.answer(b'{"detail": "Not Found"}', "404 Not Found")

    def _take(self, body: dict[str, Any]) -> dict[str, Any]:
        task = str(uuid.uuid4())
        running = asyncio.create_task(self._generate(task, body))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return {"id": task, "status": "Pending", "webhook_url": body["webhook_url"]}

    async def _generate(self, task: str, body: dict[str, Any]) -> None:
        prompt = body["prompt"]
        await asyncio.sleep(seconds_of(wanted(prompt, "seconds", "1"), self._chance))
        size, hold = wanted(prompt, "bytes", "100000"), wanted(prompt, "hold", "0")
        until = datetime.fromtimestamp(time.time() + _LIFETIME, UTC).isoformat()
        ending = "mp4" if "input_video" in body else "png"
        self._file(int(size), ending)  # a large one takes seconds to make
        sample = (
            f"{self._url}/results/{size}/{hold}/{task}.{ending}?se={until.replace('+00:00', 'Z')}"
        )
        notice = {"id": task, "status": "Ready", "result": {"sample": sample, "seed": 1}}
        url = urlsplit(body["webhook_url"])
        raw = http_wire.request(
            "POST", url.path, url.netloc, json.dumps(notice).encode(),
            x_webhook_secret=body.get("webhook_secret") or "",
        )  # fmt: skip
        await self._deliver(url.path.rpartition("/")[2], url.port or 80, raw)

    async def _deliver(self, job: str, port: int, raw: bytes) -> None:
        # A connection that lay idle may have been closed by the service meanwhile.
        while self._idle:
            if await self._sent(job, self._idle.pop(), raw):
                return
        if not await self._sent(job, await asyncio.open_connection(_HOST, port), raw):
            self._failed += 1

    async def _sent(self, job: str, streams: Streams, raw: bytes) -> bool:
        reader, writer = streams
        sent_at = time.time()
        try:
            writer.write(raw)
            message = await http_wire.read(reader)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            return False
        self._webhooks[job] = (sent_at, time.time(), message.status)
        self._idle.append(streams)
        return True

    async def _send_result(self, target: str, writer: asyncio.StreamWriter) -> None:
        size, hold, name = urlsplit(target).path.split("/")[2:5]
        self._active += 1
        self._most_active = max(self._most_active, self._active)
        try:
            await asyncio.sleep(float(hold))
            made = self._file(int(size), name.rpartition(".")[2])
            writer.write(
                f"HTTP/1.1 200 OK\r\ncontent-type: {made.content_type}\r\n"
                f"content-length: {made.size}\r\ncontent-md5: {made.content_md5}\r\n\r\n".encode()
            )
            with made.path.open("rb") as file:
                await asyncio.get_running_loop().sendfile(writer.transport, file)
        finally:
            self._active -= 1

    def _file(self, size: int, ending: str) -> result_files.ResultFile:
        name = f"{size}.{ending}"
        if name not in self._files:
            self._files[name] = result_files.make(self._folder, size, ending)
        return self._files[name]

    def _books(self) -> dict[str, Any]:
        return {
            "webhooks": self._webhooks,
            "callbacks": self._callbacks,
            "downloads_most": self._most_active,
            "webhooks_failed": self._failed,
            "files": {name: made.sha256 for name, made in self._files.items()},
        }

    def _forget(self) -> None:
        self._webhooks: dict[str, tuple[float, float, int]] = {}
        self._callbacks: dict[str, float] = {}
        self._most_active = self._active
        self._failed = 0


async def _main(port: int, folder: Path) -> None:
    fake_services = FakeServices(port, folder)
    server = await asyncio.start_server(fake_services.serve, _HOST, port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), Path(sys.argv[2])))
