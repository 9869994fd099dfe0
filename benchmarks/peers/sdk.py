"""The provider's own client in threads, one client each, as its readme shows it: `sync=True`.

Run by the interpreter of its own environment; knows nothing of this project.
"""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from blackforest import BFLClient, BFLError  # type: ignore[import-untyped]  # it has no types
from blackforest.types.general.client_config import ClientConfig  # type: ignore[import-untyped]  # as above

_mine = threading.local()


def generate(order: dict[str, Any], number: int) -> str:
    """Make one image, download it, and return how it ended."""
    if not hasattr(_mine, "client"):
        _mine.client = BFLClient(api_key=order["key"], base_url=order["url"])
        _mine.session = requests.Session()
    inputs = {"prompt": f"by the client {number}", "width": 256, "height": 256}
    try:
        result = _mine.client.generate("flux-pro-1.1", inputs, ClientConfig(sync=True))
    except BFLError as error:
        return str(error)[:80]
    image = _mine.session.get(result.result["sample"], timeout=30)
    return "ok" if image.ok else str(image.status_code)


def main() -> None:
    """Make as many images as the input asks for."""
    order = json.loads(sys.stdin.readline())
    written, sys.stdout = sys.stdout, sys.stderr  # the client prints
    with ThreadPoolExecutor(order["threads"]) as pool:
        ends = list(pool.map(lambda each: generate(order, each), range(order["count"])))
    written.write(json.dumps({end: ends.count(end) for end in set(ends)}))


if __name__ == "__main__":
    main()
