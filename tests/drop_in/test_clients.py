"""Whole clients of the provider's API, unmodified, with FluxRelay's address."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import httpx
import pytest

from stack.stack import Stack
from tests.drop_in.conftest import SMALL, Client, RqBookkeeping, digest

_SDK = """
import json, sys
from blackforest import BFLClient
from blackforest.types.general.client_config import ClientConfig
url, key, prompt = sys.argv[1:]
config = ClientConfig(sync=True, timeout=60, polling_interval=0.1, max_retries=300)
inputs = {"prompt": prompt, "width": 256, "height": 256}
answer = BFLClient(api_key=key, base_url=url).generate("flux-pro-1.1", inputs, config)
print(json.dumps(answer.model_dump()))
"""


def _sdk(url: str, key: str, prompt: str) -> dict[str, Any]:
    """Generate one image with the provider's own Python SDK; return what it returned."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _SDK, url, key, prompt],
        env={**os.environ, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_the_official_sdk_on_the_sandbox(relay: Stack, books: RqBookkeeping) -> None:
    """The SDK generates an image at the sandbox, and gets the bytes of the ledger."""
    answer = _sdk(str(relay.sandbox_url), relay.credentials.provider_key, "by the SDK, directly")
    image = httpx.get(answer["result"]["sample"], trust_env=False, timeout=60).content
    assert digest(image) in books.digests()


def test_the_official_sdk_on_fluxrelay(relay: Stack, client: Client, books: RqBookkeeping) -> None:
    """The SDK generates an image here, gets the ledger's bytes, and its task is a job."""
    answer = _sdk(relay.service_url, relay.api_key, "by the SDK, relayed")
    image = httpx.get(answer["result"]["sample"], trust_env=False, timeout=60).content
    assert digest(image) == books.made(answer["id"])["sha256"]
    job = client.get(f"/v1/jobs/{answer['id']}").json()
    assert (job["status"], job["image"]["sha256"]) == ("succeeded", digest(image))


async def _documented_loop(url: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
    """Do what the provider's guide tells clients to do: submit, then ask at `polling_url`."""
    headers = {"accept": "application/json", "x-key": key}
    async with httpx.AsyncClient(headers=headers, timeout=60, trust_env=False) as http:
        submitted = (await http.post(f"{url}/v1/flux-pro-1.1", json=body)).raise_for_status()
        task = submitted.json()
        for _ in range(300):
            answer = await http.get(task["polling_url"], params={"id": task["id"]})
            result: dict[str, Any] = answer.raise_for_status().json()
            if result["status"] not in ("Pending", "Processing", "Queued"):
                return result
            await asyncio.sleep(0.05)  # between two questions, as the guide has it
    raise AssertionError("the task did not end")


def test_many_tasks_by_the_documented_loop(relay: Stack, books: RqBookkeeping) -> None:
    """Ten tasks at a time, polled as the guide says, each end with their own image."""

    async def all_of_them() -> list[dict[str, Any]]:
        bodies = [{"prompt": f"loop {number}", "seed": number, **SMALL} for number in range(10)]
        url, key = relay.service_url, relay.api_key
        return await asyncio.gather(*(_documented_loop(url, key, body) for body in bodies))

    results = asyncio.run(all_of_them())

    assert [task["status"] for task in results] == ["Ready"] * 10
    assert [task["result"]["seed"] for task in results] == list(range(10))
    for task in results:
        image = httpx.get(task["result"]["sample"], trust_env=False, timeout=60).content
        assert digest(image) == books.made(task["id"])["sha256"]


@pytest.mark.parametrize("header", ["x-key", "X-Key"])
def test_a_header_however_written(relay: Stack, header: str) -> None:
    """The key's header is taken in any case."""
    headers = {header: relay.api_key}
    answer = httpx.post(
        f"{relay.service_url}/v1/flux-pro-1.1",
        json=SMALL,
        headers=headers,
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
