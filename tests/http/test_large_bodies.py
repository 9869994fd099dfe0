"""Bodies with large images: however they are written, they are the same to the product."""

import base64
import contextlib
import json
import random
import socket
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from stack.stack import Stack
from tests.conftest import Eventually
from tests.http.conftest import Caller, NothingTakenIn, SandboxDesk
from tests.http.test_bad_requests import check_problem

MODEL = "flux-kontext-pro"
Way = Callable[[str], str]


def _noise(width: int, height: int) -> bytes:
    pixels = random.Random(width).randbytes(width * height * 3)  # noqa: S311 - noise, not a secret
    file = BytesIO()
    Image.frombytes("RGB", (width, height), pixels).save(file, "PNG")
    return file.getvalue()


LARGE, OTHER, SMALL = _noise(300, 300), _noise(301, 300), _noise(96, 64)


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


WAYS: list[Way] = [
    lambda text: text,
    lambda text: "data:image/png;base64," + text,
    lambda text: "\\r\\n".join(text[at : at + 76] for at in range(0, len(text), 76)) + "\\n",
    lambda text: text.replace("/", "\\/").replace("+", "\\u002b"),
    _escaped,
]


def body(prompt: str, way: Way = WAYS[0], **images: bytes) -> bytes:
    """Return a body whose images are written in a way."""
    fields = {name: f"<{name}>" for name in images}
    text = json.dumps({"model": MODEL, "input": {"prompt": prompt, **fields}})
    for name, data in images.items():
        text = text.replace(f"<{name}>", way(base64.b64encode(data).decode()))
    return text.encode()


@pytest.mark.usefixtures("full_house")
@pytest.mark.parametrize("image", [LARGE, SMALL])
def test_however_it_is_written_it_is_the_same_job(api: Caller, relay: Stack, image: bytes) -> None:
    """With one key, all ways of writing an image are one job, stored once and byte for byte."""
    key = f"written-{len(image)}"
    answers = [
        api.post(content=body("ways", way, input_image=image), idempotency=key) for way in WAYS
    ]
    assert [answer.status_code for answer in answers] == [202] * len(WAYS)
    assert len({answer.json()["id"] for answer in answers}) == 1
    s3, job_id = relay.s3(), answers[0].json()["id"]
    stored = s3.get_object(Bucket=relay.bucket, Key=f"_inputs/{job_id}/input_image")
    assert stored["Body"].read() == image
    assert stored["ContentType"] == "image/png"

    for different in (
        body("ways", input_image=OTHER),
        body("other ways", input_image=image),
        body("ways", input_image_2=image),
        body("ways", input_image=image, input_image_2=image),
    ):
        check_problem(api.post(content=different, idempotency=key), 422, "idempotency-conflict")


@pytest.mark.parametrize("way", WAYS)
def test_the_provider_gets_every_byte(api: Caller, sandbox: SandboxDesk, way: Way) -> None:
    """Images and other parameters reach the provider, whatever lies in files on the way."""
    answer = api.post(content=body("ä" * 300, way, input_image=LARGE, input_image_3=OTHER))
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["id"]
    assert api.ended(job_id)["status"] == "succeeded"
    (task,) = sandbox.tasks(job_id)
    sent = task["request"]
    assert (sent["input_image"]["bytes"], sent["input_image_3"]["bytes"]) == (
        len(LARGE),
        len(OTHER),
    )
    assert sent["prompt"] == "ä" * 300


def test_all_errors_at_once(api: Caller, nothing_taken_in: NothingTakenIn) -> None:
    """Each image that is not as it must be is named, and so is everything else."""
    fields = {
        "input_image": "no base64, " * 10_000,
        "input_image_2": base64.b64encode(bytes(100_000)).decode(),
        "input_image_3": base64.b64encode(LARGE).decode(),
        "input_image_4": "https://example.com/" + "x" * 100_000,
        "image_prompt": base64.b64encode(LARGE).decode(),
        "seed": "one",
    }
    with nothing_taken_in():
        answer = api.post({"model": MODEL, "input": fields, "priority": 1000})
    check_problem(answer, 422, "invalid-fields")
    found = {error["field"]: error["detail"] for error in answer.json()["errors"]}
    assert set(found) == {
        "input.prompt", "input.input_image", "input.input_image_2", "input.input_image_4",
        "input.image_prompt", "input.seed", "priority",
    }  # fmt: skip
    assert "nor valid base64" in found["input.input_image"]
    assert "not an image" in found["input.input_image_2"]
    assert "nor valid base64" in found["input.input_image_4"]
    assert "not a known field" in found["input.image_prompt"]


def test_a_reference_cannot_be_forged(api: Caller, nothing_taken_in: NothingTakenIn) -> None:
    """A text that looks like the reference to another image is no image."""
    forged = {"input_image_2": "0" * 32 + ":0", "input_image_3": "null"}
    fields = {"prompt": "p", "input_image": base64.b64encode(LARGE).decode(), **forged}
    with nothing_taken_in():
        answer = api.post({"model": MODEL, "input": fields})
    check_problem(answer, 422, "invalid-fields")
    named = {error["field"] for error in answer.json()["errors"]}
    assert named == {"input.input_image_2", "input.input_image_3"}


def test_long_texts_that_are_no_images(
    api: Caller, sandbox: SandboxDesk, nothing_taken_in: NothingTakenIn
) -> None:
    """A prompt of 200 000 characters is sent on; what fills more than 1 MiB is refused."""
    prompt = "A lighthouse, and " * 11_000
    job_id = api.create(prompt, MODEL)
    assert api.ended(job_id)["status"] == "succeeded"
    assert [task["request"]["prompt"] for task in sandbox.tasks(job_id)] == [prompt]

    with nothing_taken_in():
        answer = api.post({"model": MODEL, "input": {"prompt": "x" * 1024 * 1024}})
    assert "1048576 bytes" in check_problem(answer, 413, "body-too-large")


def test_the_place_of_a_mistake_behind_an_image(api: Caller) -> None:
    """Line and column are those of the body that was sent."""
    broken = body("p", input_image=LARGE)[:-1] + b",\n }"
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(broken)

    detail = check_problem(api.post(content=broken), 400, "invalid-json")

    assert f"line {caught.value.lineno}, column {caught.value.colno}" in detail


def test_a_caller_who_goes_leaves_no_file(
    api: Caller, relay: Stack, eventually: Eventually, nothing_taken_in: NothingTakenIn
) -> None:
    """What was kept of a body that never ends is gone, and the next body is taken in."""

    def kept() -> list[str]:
        found = []
        for link in Path(f"/proc/{relay.processes['service'].pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.append(str(link.readlink()))
        return [name for name in found if name.endswith("(deleted)")]

    head = f"POST /v1/jobs HTTP/1.1\r\nhost: x\r\nx-key: {relay.api_key}\r\n"
    sent = body("gone", input_image=LARGE, input_image_2=OTHER)
    with nothing_taken_in():
        for _ in range(12):  # more than there are places
            address = urlsplit(relay.service_url)
            with socket.create_connection(
                (str(address.hostname), int(address.port or 0))
            ) as caller:
                caller.sendall(f"{head}content-length: {len(sent)}\r\n\r\n".encode() + sent[:-100])
                eventually(lambda: len(kept()) > 0)
            eventually(lambda: kept() == [])
    assert api.post(content=sent).status_code == 202
