"""The loop that the provider documents, in threads: submit, ask every half second, download.

Run by the interpreter of its own environment; knows nothing of this project.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

_POLL_SECONDS = 0.5


def generate(client: httpx.Client, order: dict[str, Any], number: int) -> str:
    """Make one image and return how it ended."""
    body = {"prompt": f"polled {number}", "width": 256, "height": 256}
    answer = client.post(f"{order['url']}/v1/flux-pro-1.1", json=body)
    if answer.is_error:
        return str(answer.status_code)
    polling_url = answer.json()["polling_url"]
    while True:
        time.sleep(_POLL_SECONDS)
        result = client.get(polling_url).json()
        if result["status"] == "Ready":
            image = client.get(result["result"]["sample"], headers={"x-key": ""})
            return "ok" if image.is_success else str(image.status_code)
        if result["status"] not in ("Pending", "Reasoning", "Generating"):
            return str(result["status"])


def main() -> None:
    """Make as many images as the input asks for."""
    order = json.loads(sys.stdin.readline())
    limits = httpx.Limits(max_connections=order["threads"])
    headers = {"x-key": order["key"]}
    with (
        httpx.Client(headers=headers, limits=limits, timeout=30, trust_env=False) as client,
        ThreadPoolExecutor(order["threads"]) as pool,
    ):
        ends = list(pool.map(lambda each: generate(client, order, each), range(order["count"])))
    sys.stdout.write(json.dumps({end: ends.count(end) for end in set(ends)}))


if __name__ == "__main__":
    main()
