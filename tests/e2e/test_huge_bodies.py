"""The largest images, and the largest video: little memory anywhere, and not a byte lost."""

import base64
import json
import random
import re
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image

from core.provider.catalogue import LARGEST_IMAGE_BYTES
from stack.options import StackOptions
from stack.stack import Stack
from tests.e2e.conftest import Customer
from tests.quick_videos import SMALL, often_polled
from tests.timing import FAST, FAST_SANDBOX
from tests.video_files import box, video

FIELDS = ("input_image", "input_image_2", "input_image_3", "input_image_4")
#: Images of a list.
MOST: Final = 10
LARGEST_VIDEO: Final = 50 * 1024 * 1024
#: The provider's stand-in needs a while for hundreds of megabytes, the more so on a busy machine.
PATIENT = {
    "FLUXRELAY_PROVIDER_TIMEOUT_SECONDS": "60",
    "FLUXRELAY_SUBMIT_IN_DOUBT_SECONDS": "200",
    "FLUXRELAY_LARGE_BODIES": "2",
}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack that waits longer for the provider, and asks about videos often."""
    variables = {**FAST, **PATIENT, **often_polled(tmp_path_factory.mktemp("models"))}
    sandbox = {**FAST_SANDBOX, **SMALL}
    with Stack(StackOptions(relay_variables=variables, sandbox_variables=sandbox)) as stack:
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


def growth(customer: Customer, body: bytes) -> tuple[int, dict[str, Any]]:
    """Return by how much service and worker grow at most, and what the provider was asked for."""
    service = Memory(customer.stack.processes["service"].pid)
    worker = Memory(customer.stack.processes["worker.submit"].pid)
    redis_before, before = used_memory(customer), (service.forget(), worker.forget())

    job = ended(customer, post(customer, body))

    assert used_memory(customer) - redis_before < 100_000
    assert service.open_files() == []
    grown = [now - was for now, was in zip((service.peak(), worker.peak()), before, strict=True)]
    (task,) = (t for t in customer.ledger()["tasks"] if t["id"] == job["provider"]["id"])
    request: dict[str, Any] = task["request"]
    return max(grown), request


def seen(data: bytes) -> dict[str, Any]:
    """Return what the ledger keeps of a file."""
    return {"bytes": len(data), "sha256": sha256(data).hexdigest()}


def test_ten_of_the_largest_images_in_one_list(customer: Customer) -> None:
    """No process grows by two images; the provider gets every byte, in order."""
    rng = random.Random(6)  # noqa: S311 - noise, not a secret
    images = [_noise(rng, 2600, 2687 - number) for number in range(MOST)]
    small = [_noise(rng, 256, 256)]
    growth(customer, listed(small))
    body = listed(images)
    assert len(body) > 270_000_000

    grown, request = growth(customer, body)

    assert grown < 2 * LARGEST_IMAGE_BYTES
    assert request["images"] == [seen(data) for data in images]


def listed(images: list[bytes]) -> bytes:
    """Return a body with these images in a list."""
    encoded = [base64.b64encode(data).decode() for data in images]
    given = {"prompt": "a list", "resolution": "768sq", "images": encoded}
    return json.dumps({"model": "flux-3-image", "input": given}).encode()


def test_the_largest_video(customer: Customer) -> None:
    """A video at the limit of bytes goes through in little memory, too."""
    data = video()
    data += box(b"free", bytes(LARGEST_VIDEO - len(data) - 8))
    given = {"prompt": "a video", "video": base64.b64encode(data).decode()}
    body = json.dumps({"model": "flux-tools/video-edit-v1", "input": given}).encode()

    grown, request = growth(customer, body)

    assert grown < 2 * LARGEST_IMAGE_BYTES
    assert request["video"] == seen(data)
