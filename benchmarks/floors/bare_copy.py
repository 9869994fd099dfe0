"""`python -m benchmarks.floors.bare_copy`: the floor of a copy and of a callback, and nothing else.

A plain httpx download, a plain boto3 `put_object` of the same bytes, a plain httpx POST, at the
moments at which the product's webhooks came in its run, with as many threads as the product's.
"""

import json
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from resource import RUSAGE_SELF, getrusage
from typing import Any

import boto3
import httpx
from botocore.config import Config

_BODY_BYTES = 1200  # of a callback, about as large as the product's


@dataclass
class Copier:
    """Clients that live as long as the process, and the copies they made."""

    order: dict[str, Any]
    seen: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        threads = self.order["threads"]
        limits = httpx.Limits(max_connections=threads, max_keepalive_connections=threads)
        self._http = httpx.Client(limits=limits, timeout=30, trust_env=False)
        config = Config(max_pool_connections=threads, s3={"addressing_style": "path"})
        self._s3 = boto3.client("s3", config=config)

    def copy(self, due_at: float) -> None:
        """Make one copy and one callback."""
        name = uuid.uuid4().hex
        begun_at = time.time()
        data = self._http.get(self.order["url"]).raise_for_status().content
        self._s3.put_object(Bucket=self.order["bucket"], Key=f"bare/{name}.png", Body=data)
        put_at = time.time()
        body = b"x" * _BODY_BYTES
        headers = {"webhook-id": f"msg_{name}"}
        self._http.post(self.order["callback_url"], content=body, headers=headers)
        self.seen.append({"name": name, "due": due_at, "begun": begun_at, "put": put_at})


def main() -> None:
    """Make the copies that the input asks for."""
    order = json.loads(sys.stdin.readline())
    copier = Copier(order)
    with ThreadPoolExecutor(order["threads"]) as pool:
        now = time.time()
        list(pool.map(copier.copy, [now] * order["threads"]))  # connections are made
        copier.seen.clear()
        before = getrusage(RUSAGE_SELF)
        start, wait = time.time() + 0.1, threading.Event()
        for offset in order["offsets"]:
            wait.wait(max(0.0, start + offset - time.time()))
            pool.submit(copier.copy, start + offset)
    after = getrusage(RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sys.stdout.write(json.dumps({"copies": copier.seen, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
