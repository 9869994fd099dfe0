"""Several images in one field: they keep their order, their bytes, and their names in errors."""

import base64
import json
import random
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from stack.stack import Stack
from tests.http.conftest import Caller, NothingTakenIn, SandboxDesk
from tests.http.test_bad_requests import check_problem

MODEL = "flux-3-image"
URL = "https://images.example/a.png"


def png(width: int, height: int) -> bytes:
    """Return an image of noise, which nothing can compress."""
    pixels = random.Random(width).randbytes(width * height * 3)  # noqa: S311 - noise, not a secret
    file = BytesIO()
    Image.frombytes("RGB", (width, height), pixels).save(file, "PNG")
    return file.getvalue()


def encoded(data: bytes) -> str:
    """Return base64."""
    return base64.b64encode(data).decode()


LARGE, OTHER = png(300, 256), png(256, 301)
#: Short enough to stay in the body while that is read.
SMALL = BytesIO()
Image.new("RGB", (256, 256), "teal").save(SMALL, "PNG")


def order(*images: object) -> dict[str, Any]:
    """Return a body with a list of images."""
    return {"model": MODEL, "input": {"prompt": "p", "images": list(images)}}


def asked(api: Caller, sandbox: SandboxDesk, job_id: str) -> dict[str, Any]:
    """Return what the provider was asked for by a job that has ended well."""
    job = api.ended(job_id)
    assert job["status"] == "succeeded", job
    page = sandbox.client.get(f"/sandbox/ledger/{job['provider']['id']}").json()
    request: dict[str, Any] = page["request"]
    return request


def seen(data: bytes) -> dict[str, Any]:
    """Return what the ledger keeps of a file."""
    return {"bytes": len(data), "sha256": sha256(data).hexdigest()}


def test_three_references(api: Caller, sandbox: SandboxDesk) -> None:
    """Long and short base64 and a URL reach the provider in their order."""
    body = order(encoded(LARGE), URL, f"data:image/png;base64,{encoded(SMALL.getvalue())}")

    answer = api.post(body)

    assert answer.status_code == 202, answer.text
    stored = {"bytes_in": "s3"}
    assert answer.json()["input"]["images"] == [stored, URL, stored]
    request = asked(api, sandbox, answer.json()["id"])
    assert request == {"prompt": "p", "images": [seen(LARGE), URL, seen(SMALL.getvalue())]}


def test_one_image_without_a_list(api: Caller, sandbox: SandboxDesk) -> None:
    """A single image may come without its array, and is sent on so."""
    answer = api.post({"model": MODEL, "input": {"prompt": "p", "images": encoded(LARGE)}})

    assert answer.status_code == 202, answer.text
    assert asked(api, sandbox, answer.json()["id"])["images"] == seen(LARGE)


@pytest.mark.usefixtures("full_house")
def test_in_s3_by_their_places(api: Caller, relay: Stack) -> None:
    """While the job waits, each image lies in S3, byte for byte, at a key that names its place."""
    job_id = api.post(order(URL, encoded(LARGE), encoded(OTHER))).json()["id"]

    s3, prefix = relay.s3(), f"_inputs/{job_id}/"
    listing = s3.list_objects_v2(Bucket=relay.bucket, Prefix=prefix)["Contents"]
    assert [item["Key"] for item in listing] == [f"{prefix}images.1", f"{prefix}images.2"]
    for place, data in (("images.1", LARGE), ("images.2", OTHER)):
        found = s3.get_object(Bucket=relay.bucket, Key=prefix + place)
        assert found["Body"].read() == data
        assert found["ContentType"] == "image/png"


@pytest.mark.usefixtures("full_house")
def test_the_same_list_is_the_same_job(api: Caller) -> None:
    """With one key, the bytes and the order count, not how the base64 is written."""
    key = "a list of images"
    first = api.post(order(encoded(LARGE), encoded(OTHER)), idempotency=key)
    wrapped = "\r\n".join(encoded(LARGE)[at : at + 76] for at in range(0, len(encoded(LARGE)), 76))
    again = api.post(order(wrapped, encoded(OTHER)), idempotency=key)
    swapped = api.post(order(encoded(OTHER), encoded(LARGE)), idempotency=key)

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    check_problem(swapped, 422, "idempotency-conflict")


@pytest.mark.parametrize(
    ("images", "errors"),
    [
        ([URL] * 11, {"input.images": "has 11 items"}),
        ([], {"input.images": "has 0 items"}),
        (
            [URL, encoded(png(200, 200)), encoded(LARGE), encoded(png(255, 400))],
            {
                "input.images[1]": "has 200 x 200 pixels",
                "input.images[3]": "has 255 x 400 pixels",
            },
        ),
        (
            [encoded(LARGE[:-20]), "no base64!", "x" * 100_000, None],
            {
                "input.images[0]": "is not a whole image: the PNG is cut off",
                "input.images[1]": "is neither an http(s) URL nor valid base64",
                "input.images[2]": "is not an image",
                "input.images[3]": "is null",
            },
        ),
    ],
)
def test_bad_images(
    api: Caller, nothing_taken_in: NothingTakenIn, images: list[object], errors: dict[str, str]
) -> None:
    """Each bad item is named by its position; nothing is stored or queued."""
    with nothing_taken_in():
        answer = api.post(order(*images))

    check_problem(answer, 422, "invalid-fields")
    assert {one["field"]: one["detail"] for one in answer.json()["errors"]} == errors


def test_bad_images_of_the_drop_in_api(api: Caller, nothing_taken_in: NothingTakenIn) -> None:
    """The place of an item is told as the provider tells it."""
    body = {"prompt": "p", "images": [URL, encoded(png(200, 200))], "seed": 1}
    with nothing_taken_in():
        answer = api.client.post(
            f"/v1/{MODEL}", content=json.dumps(body), headers={"x-key": str(api.key)}
        )

    assert answer.status_code == 422
    places = [one["loc"] for one in answer.json()["detail"]]
    assert places == [["body", "seed"], ["body", "images", 1]]


def test_references_of_the_drop_in_api(api: Caller, sandbox: SandboxDesk) -> None:
    """A list of the provider's own body goes the same way."""
    body = {"prompt": "p", "images": [encoded(LARGE), URL, encoded(OTHER)]}
    answer = api.client.post(
        f"/v1/{MODEL}", content=json.dumps(body), headers={"x-key": str(api.key)}
    )

    assert answer.status_code == 200, answer.text
    request = asked(api, sandbox, answer.json()["id"])
    assert request["images"] == [seen(LARGE), URL, seen(OTHER)]
