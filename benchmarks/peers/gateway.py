"""LiteLLM's `image_generation` in threads, pointed at the stand-in by its own variables.

Run by the interpreter of its own environment; knows nothing of this project.
"""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no look-up of prices on the network

import httpx
import litellm  # type: ignore[import-not-found]  # it is in an environment of its own


def generate(client: httpx.Client, number: int) -> str:
    """Make one image, download it, and return how it ended."""
    try:
        answer = litellm.image_generation(
            model="black_forest_labs/flux-pro-1.1",
            prompt=f"by the gateway {number}",
            size="256x256",
        )
    except Exception as error:  # noqa: BLE001 - it has its own for everything; all are counted
        return str(error)[:80]
    image = client.get(answer.data[0].url)
    return "ok" if image.is_success else str(image.status_code)


def main() -> None:
    """Make as many images as the input asks for."""
    order = json.loads(sys.stdin.readline())
    os.environ |= {"BFL_API_KEY": order["key"], "BFL_API_BASE": order["url"]}
    written, sys.stdout = sys.stdout, sys.stderr  # it prints
    limits = httpx.Limits(max_connections=order["threads"])
    with (
        httpx.Client(limits=limits, timeout=30, trust_env=False) as client,
        ThreadPoolExecutor(order["threads"]) as pool,
    ):
        ends = list(pool.map(lambda each: generate(client, each), range(order["count"])))
    written.write(json.dumps({end: ends.count(end) for end in set(ends)}))


if __name__ == "__main__":
    main()
