"""A batch at its limits: little memory in the service, and not an item lost."""

import base64
import json
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from fluxrelay import FluxRelay
from stack.options import StackOptions
from stack.stack import Stack
from tests.e2e.conftest import Customer
from tests.e2e.test_huge_bodies import Memory
from tests.timing import FAST, FAST_SANDBOX
from tests.video_files import box, video

MOST: Final = 10_000
#: Most bytes that the service may grow by: a fraction of the body.
FLAT: Final = 64 * 1024 * 1024
_VIDEO: Final = 12 * 1024 * 1024


@pytest.fixture(scope="module")
def loaded() -> Iterator[Stack]:
    """Run a stack whose account rests: the jobs wait."""
    with Stack(StackOptions(relay_variables=FAST, sandbox_variables=FAST_SANDBOX)) as stack:
        with stack.redis() as redis:
            redis.set("pool:default:paused", "a test", ex=900)
        yield stack


def text(number: int) -> dict[str, Any]:
    """Return an item with a prompt."""
    size = {"width": 256, "height": 256}
    prompt = f"{number} " + "a lighthouse on a cliff " * 20
    return {"custom_id": f"{number}", "model": "flux-pro-1.1", "input": {"prompt": prompt, **size}}


def with_video(number: int) -> bytes:
    """Return an item with a video."""
    data = video()
    data += box(b"free", bytes(_VIDEO - len(data) - 8))
    encoded = base64.b64encode(data).decode()
    given = {"prompt": "a video", "video": encoded}
    model = "flux-tools/video-edit-v1"
    item = {"custom_id": f"{number}", "model": model, "input": given}
    return json.dumps(item).encode()


def send(customer: Customer, pieces: list[bytes], media: str) -> httpx.Response:
    """POST a batch in pieces, so that this process needs no second copy of it."""
    headers = {"content-type": media}
    return customer.http.post("/v1/batches", content=iter(pieces), headers=headers, timeout=300)


@pytest.mark.parametrize("media", ["application/x-ndjson", "application/json"])
def test_a_batch_at_its_limits_takes_little_memory(customer: Customer, media: str) -> None:
    """10,000 items, some with large files, come as lines or as one document: memory is flat."""
    service = Memory(customer.stack.processes["service"].pid)
    warm = send(customer, [json.dumps(text(0)).encode()], "application/x-ndjson")
    assert warm.status_code == 202, warm.text
    large = [with_video(number) for number in range(10)]
    items = [*large, *(json.dumps(text(number)).encode() for number in range(10, MOST))]
    lines = media.endswith("ndjson")
    pieces = [one + (b"\n" if lines else b",") for one in items[:-1]] + [items[-1]]
    pieces = pieces if lines else [b'{"items": [', *pieces, b"]}"]
    assert sum(map(len, pieces)) > 160_000_000
    before = service.forget()

    answer = send(customer, pieces, media)

    grown = service.peak() - before
    assert answer.status_code == 202, answer.text
    assert answer.json()["counts"]["total"] == MOST
    assert grown < FLAT, grown
    assert service.open_files() == []
    batch = answer.json()["id"]
    canceled = customer.http.post(f"/v1/batches/{batch}/cancel", timeout=300)
    assert canceled.json()["counts"]["canceled"] == MOST


def test_the_client_sends_the_largest_batch(customer: Customer) -> None:
    """10,000 items are one call; canceled by another, each of them has its line in the results."""
    stack = customer.stack
    with FluxRelay(stack.service_url, stack.api_key) as client:
        batch = client.batches.create([text(number) for number in range(MOST)])
        assert batch.counts.total == MOST

        assert client.batches.cancel(batch).counts.canceled == MOST

        assert client.batches.wait(batch, timeout=300).counts.ended == MOST
        results = [(one.custom_id, one.status) for one in client.batches.results(batch)]
    assert results == [(str(number), "canceled") for number in range(MOST)]
