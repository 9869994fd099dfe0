"""Every model that makes images, with the least and the most it takes, from POST to S3."""

import io
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from PIL import Image

from core.provider.catalogue import MODELS, Media
from stack.stack import Stack
from tests.conftest import Eventually
from tests.e2e.provider_records import judge_request, task_of
from tests.model_inputs import PICTURE_SIZE, full, minimal

Case = tuple[str, str, str]
Sent = tuple[str, dict[str, Any]]

EXTENTS: Final = {"minimal": minimal, "full": full}
#: The native API, and the provider's own.
FACES: Final = ("native", "drop-in")
CASES: Final[list[Case]] = [
    (model.name, extent, face)
    for model in MODELS.values()
    for extent in EXTENTS
    for face in FACES
    if model.media is Media.IMAGE
]
#: The provider makes sides multiples of some pixels, so a ratio is kept about so well.
RATIO_TOLERANCE: Final = 0.05


@pytest.fixture(scope="module")
def http(relay: Stack) -> Iterator[httpx.Client]:
    """Return a client of the service, with its key."""
    headers = {"authorization": f"Bearer {relay.api_key}"}
    with httpx.Client(
        base_url=relay.service_url, headers=headers, timeout=60, trust_env=False
    ) as client:
        yield client


@pytest.fixture(scope="module")
def sent(http: httpx.Client) -> dict[Case, Sent]:
    """Send a job for every model, extent and face at once; return job ids and inputs."""
    jobs: dict[Case, Sent] = {}
    for name, extent, face in CASES:
        given = EXTENTS[extent](MODELS[name])
        if face == "native":
            answer = http.post("/v1/jobs", json={"model": name, "input": given})
        else:
            answer = http.post(f"/v1/{name}", json=given)
        assert answer.is_success, answer.text
        jobs[name, extent, face] = answer.json()["id"], given
    return jobs


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_from_post_to_s3(
    relay: Stack,
    http: httpx.Client,
    eventually: Eventually,
    sent: dict[Case, Sent],
    case: Case,
) -> None:
    """The image in S3 has the asked size and format, and the provider got just what was sent."""
    job_id, given = sent[case]
    eventually(lambda: http.get(f"/v1/jobs/{job_id}").json()["ended_at"] is not None, 90)

    job = http.get(f"/v1/jobs/{job_id}").json()
    assert job["status"] == "succeeded", job["error"]
    stored = relay.s3().get_object(Bucket=job["image"]["bucket"], Key=job["image"]["key"])
    with Image.open(io.BytesIO(stored["Body"].read())) as image:
        image.load()
        kind, size = str(image.format).lower(), image.size
    assert kind == given.get("output_format", kind)
    assert stored["ContentType"] == job["image"]["content_type"] == f"image/{kind}"
    assert size == (job["image"]["width"], job["image"]["height"])
    assert size == _asked_size(given, size)
    judge_request(task_of(relay, job), job, given)


def _asked_size(given: dict[str, Any], size: tuple[int, int]) -> tuple[int, int]:
    """Return the size that an input asks for; `size` itself where it asks for none."""
    if "width" in given:
        return given["width"], given["height"]
    if "aspect_ratio" in given:
        wide, high = (int(part) for part in given["aspect_ratio"].split(":"))
        off = abs(size[0] / size[1] / (wide / high) - 1)
        return size if off < RATIO_TOLERANCE else (wide, high)
    if "image" in given:  # it is edited in place, or gets borders
        width, height = PICTURE_SIZE
        across = given.get("left", 0) + given.get("right", 0)
        return width + across, height + given.get("top", 0) + given.get("bottom", 0)
    return size
