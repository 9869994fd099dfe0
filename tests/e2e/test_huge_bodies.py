"""A job with four of the largest images: little memory anywhere, and not a byte lost on the way."""

import base64
import json
import random
import re
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.provider.catalogue import LARGEST_IMAGE_BYTES
from stack.options import StackOptions
from stack.stack import Stack
from tests.e2e.conftest import Customer
from tests.timing import FAST, FAST_SANDBOX

FIELDS = ("input_image", "input_image_2", "input_image_3", "input_image_4")
#: The provider's stand-in needs a while for 107 MB, the more so on a busy machine.
PATIENT = {
    "FLUXRELAY_PROVIDER_TIMEOUT_SECONDS": "30",
    "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS": "100",
    "FLUXRELAY_LARGE_BODIES": "2",
}


@pytest.fixture(scope="module")
def loaded() -> Iterator[Stack]:
    """Run a stack that waits longer for the provider."""
    variables = {**FAST, **PATIENT}
    with Stack(StackOptions(relay_variables=variables, sandbox_variables=FAST_SANDBOX)) as stack:
        yield stack


@pytest.fixture(scope="module")
def pictures() -> dict[str, bytes]:
    """Return four different images of 20 MB by field: noise, which nothing can compress."""
    rng = random.Random(3)  # noqa: S311 - noise, not a secret
    return {name: _noise(rng, 2600, 2687 - number) for number, name in enumerate(FIELDS)}


def _noise(rng: random.Random, width: int, height: int) -> bytes:
    file = BytesIO()
    pixels = rng.randbytes(width * height * 3)
    Image.frombytes("RGB", (width, height), pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


def order(images: dict[str, bytes], prompt: str) -> bytes:
    """Return a body with these images."""
    encoded = {name: base64.b64encode(data).decode() for name, data in images.items()}
    body = {"model": "flux-kontext-pro", "input": {"prompt": prompt, **encoded}}
    return json.dumps(body).encode()


class Memory:
    """What a process has had in memory at most since it was last asked (Linux).

    Args:
        pid: Of the process.
    """

    def __init__(self, pid: int) -> None:
        self._process = Path(f"/proc/{pid}")

    def forget(self) -> int:
        """Set the peak back to what is in memory now; return that in bytes."""
        (self._process / "clear_refs").write_text("5", encoding="ascii")  # proc(5)
        return self.peak()

    def peak(self) -> int:
        """Return the peak in bytes."""
        status = (self._process / "status").read_text(encoding="ascii")
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        assert found
        return int(found[1]) * 1024

    def open_files(self) -> list[str]:
        """Return the temporary files that it holds open."""
        links = (self._process / "fd").iterdir()
        targets = [str(link.readlink()) for link in links if link.is_symlink()]
        return [target for target in targets if target.endswith("(deleted)")]


def post(customer: Customer, body: bytes) -> str:
    """POST a job; return its id."""
    answer = customer.http.post("/v1/jobs", content=body, timeout=120)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def used_memory(customer: Customer) -> int:
    """Return the bytes that Redis uses."""
    client = customer.stack.redis()
    used = int(client.info("memory")["used_memory"])
    client.close()
    return used


def ended(customer: Customer, job_id: str) -> dict[str, Any]:
    """Return a job that has ended well."""
    customer.eventually(lambda: bool(customer.job(job_id)["ended_at"]), 120)
    job = customer.job(job_id)
    assert job["status"] == "succeeded", job
    return job


def test_four_of_the_largest_images(customer: Customer, pictures: dict[str, bytes]) -> None:
    """Redis grows by less than 100 kB, no process by two images; the provider gets every byte."""
    small = _noise(random.Random(4), 200, 200)  # noqa: S311 - noise, not a secret
    ended(customer, post(customer, order({FIELDS[0]: small}, "warm up")))
    service = Memory(customer.stack.processes["service"].pid)
    worker = Memory(customer.stack.processes["worker.submit"].pid)
    body = order(pictures, "four at once")
    assert len(body) > 110_000_000
    redis_before, before = used_memory(customer), (service.forget(), worker.forget())

    job_id = post(customer, body)

    assert used_memory(customer) - redis_before < 100_000
    ended(customer, job_id)
    grown = [now - was for now, was in zip((service.peak(), worker.peak()), before, strict=True)]
    assert max(grown) < 2 * LARGEST_IMAGE_BYTES, grown
    assert used_memory(customer) - redis_before < 100_000
    (task,) = (t for t in customer.ledger()["tasks"] if (t["webhook_url"] or "").endswith(job_id))
    sent = {name: task["request"][name] for name in FIELDS}
    assert sent == {
        name: {"bytes": len(data), "sha256": sha256(data).hexdigest()}
        for name, data in pictures.items()
    }
    assert service.open_files() == []
