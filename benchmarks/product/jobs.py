"""The jobs of a running service: posts them, waits for their end, and reads their timelines."""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import redis

from benchmarks.probes import http_wire, load_generator
from stack.servers.ports import LOOPBACK

_LOOK_SECONDS = 0.1
_POSTING = 8  # connections that jobs are posted over


class Jobs:
    """The jobs of one service on this machine.

    Args:
        url: The service's address.
        api_key: A caller's key.
        records: The service's Redis, with a client that decodes replies.
    """

    def __init__(self, url: str, api_key: str, records: "redis.Redis") -> None:
        self._port = urlsplit(url).port or 80
        self._headers = {"authorization": f"Bearer {api_key}"}
        self._redis = records

    def order(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a load generator needs to post a job."""
        return {
            "port": self._port,
            "method": "POST",
            "path": "/v1/jobs",
            "headers": self._headers,
            "body": json.dumps(body),
        }

    def post(self, bodies: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Post jobs in this order and return them, in the order in which they were accepted.

        Raises:
            ValueError: One was refused.
        """
        seen = load_generator.drive(self._port, map(self._request, bodies), _POSTING)
        refused = [exchange for exchange in seen if exchange.status != 202]
        if refused:
            raise ValueError(f"a job was refused: {refused[0].body[:500]!r}")
        return [json.loads(exchange.body) for exchange in seen]

    def _request(self, body: Mapping[str, Any]) -> bytes:
        text, host = json.dumps(body).encode(), f"{LOOPBACK}:{self._port}"
        return http_wire.request("POST", "/v1/jobs", host, text, **self._headers)

    def wait_ended(self, jobs: list[str], seconds: float, *, told: bool = True) -> None:
        """Wait until all these jobs succeeded, and until their callbacks came if `told`.

        Raises:
            TimeoutError: They did not in time.
            ValueError: One failed.
        """
        left, give_up_at = list(jobs), time.monotonic() + seconds
        while left:
            name = f"job:{left[-1]}"
            status, callback = self._redis.hmget(name, "status", "callback_state")
            if status == "succeeded" and (not told or callback != "pending"):
                left.pop()
            elif status == "failed":
                raise ValueError(f"job {left[-1]} failed: {self._redis.hgetall(name)}")
            elif time.monotonic() > give_up_at:
                raise TimeoutError(f"{len(left)} of {len(jobs)} jobs did not end in {seconds:g} s")
            else:
                time.sleep(_LOOK_SECONDS)

    def timelines(self, jobs: list[str]) -> list[dict[str, float]]:
        """Return when each job reached each status, in Unix seconds."""
        pipeline = self._redis.pipeline(transaction=False)
        for job in jobs:
            pipeline.hget(f"job:{job}", "timeline")
        steps = [dict(entry.split("=") for entry in line.split(";")) for line in pipeline.execute()]
        return [{status: float(at) for status, at in step.items()} for step in steps]
