"""Images that come as base64 lie in S3 until the job ends, and reach the provider unchanged."""

import base64
import hashlib
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import redis

from stack.stack import Stack
from tests.http.conftest import Caller, SandboxDesk
from tests.image_files import PHOTO

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def s3(relay: Stack) -> "S3Client":
    """Return an S3 client."""
    return relay.s3()


def inputs_of(s3: "S3Client", bucket: str, job_id: str) -> dict[str, bytes]:
    """Return the inputs of a job that lie in the bucket, by parameter."""
    prefix = f"_inputs/{job_id}/"
    listing = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
    found: dict[str, bytes] = {}
    for item in listing.get("Contents", ()):
        with suppress(s3.exceptions.NoSuchKey):  # the clean-up may come between the two
            body = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"]
            found[item["Key"].removeprefix(prefix)] = body.read()
    return found


def everything_in(url: str) -> bytes:
    """Return all that Redis holds, as bytes: keys, fields, members and values."""
    client: Any = redis.Redis.from_url(url)  # not decoding: RQ keeps compressed bytes, too
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"stream": client.xrange,
    }
    found = [(key, client.type(key)) for key in client.scan_iter(count=1000)]
    # What expired since it was found is held no more.
    held = [(key, read[kind](key)) for key, kind in found if kind in read]
    client.close()
    return repr(held).encode()


def edit(api: Caller, prompt: str, **images: str) -> str:
    """POST a job that edits images; return its id."""
    body = {"model": "flux-kontext-pro", "input": {"prompt": prompt, **images}}
    answer = api.post(body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


@pytest.mark.usefixtures("full_house")
def test_in_s3_and_not_in_redis(api: Caller, relay: Stack, s3: "S3Client", picture: bytes) -> None:
    """While the job waits its image lies in S3, byte for byte, and nothing of it in Redis."""
    encoded = base64.b64encode(picture).decode()
    with_prefix = f"data:image/png;base64,{encoded}"
    wrapped = re.sub("(.{76})", r"\1\r\n", encoded)
    job_id = edit(api, "at rest", input_image=with_prefix, input_image_3=wrapped)
    stored = inputs_of(s3, relay.bucket, job_id)
    assert stored == {"input_image": picture, "input_image_3": picture}
    view = api.job(job_id)
    assert view["status"] == "queued"
    assert view["input"]["input_image"] == {"bytes_in": "s3"}
    held = everything_in(relay.valkey.url)
    assert job_id.encode() in held
    assert encoded[:40].encode() not in held
    assert encoded[-40:].encode() not in held


def test_byte_for_byte_and_deleted(
    api: Caller, relay: Stack, sandbox: SandboxDesk, s3: "S3Client", picture: bytes
) -> None:
    """The provider gets the caller's bytes, a URL as a URL, and the inputs are deleted after."""
    url = "https://example.com/already/there.png"
    encoded = base64.b64encode(picture).decode()
    job_id = edit(api, "a good edit", input_image=encoded, input_image_2=url)
    assert api.ended(job_id)["status"] == "succeeded"
    (task,) = sandbox.tasks(job_id)
    digest = hashlib.sha256(picture).hexdigest()
    assert task["request"]["input_image"] == {"bytes": len(picture), "sha256": digest}
    assert task["request"]["input_image_2"] == url
    api.eventually(lambda: inputs_of(s3, relay.bucket, job_id) == {})


def test_deleted_when_the_job_fails(
    api: Caller, relay: Stack, sandbox: SandboxDesk, s3: "S3Client", picture: bytes
) -> None:
    """Inputs of a job that its caller would have to change are deleted, too."""
    refusal = {"match": "refuse me", "status": "Request Moderated", "details": None}
    sandbox.faults(end_task=refusal)
    job_id = edit(api, "refuse me", input_image=base64.b64encode(picture).decode())
    assert api.ended(job_id)["error"]["code"] == "request_moderated"
    api.eventually(lambda: inputs_of(s3, relay.bucket, job_id) == {})


def test_image_prompt(api: Caller, sandbox: SandboxDesk, picture: bytes) -> None:
    """The other model's image parameter goes the same way."""
    encoded = base64.b64encode(picture).decode()
    answer = api.post({"model": "flux-pro-1.1", "input": {"image_prompt": encoded}})
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["id"]
    assert api.ended(job_id)["status"] == "succeeded"
    (task,) = sandbox.tasks(job_id)
    assert task["request"]["image_prompt"]["sha256"] == hashlib.sha256(picture).hexdigest()


def test_a_camera_s_photo(api: Caller, sandbox: SandboxDesk) -> None:
    """A JPEG with a second picture behind the first, as cameras write it, reaches the provider."""
    photo = PHOTO.read_bytes()
    encoded = base64.b64encode(photo).decode()
    body = {"model": "flux-2-pro", "input": {"prompt": "a photo", "input_image": encoded}}
    answer = api.post(body)
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["id"]
    assert api.ended(job_id)["status"] == "succeeded"
    (task,) = sandbox.tasks(job_id)
    assert task["request"]["input_image"]["sha256"] == hashlib.sha256(photo).hexdigest()


def test_a_part_of_an_image(api: Caller, picture: bytes) -> None:
    """What is cut off is told at once, on the field that holds it, with what to do about it."""
    encoded = base64.b64encode(picture[: len(picture) // 2]).decode()
    body = {"model": "flux-2-pro", "input": {"prompt": "half", "input_image": encoded}}
    answer = api.post(body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "input.input_image"
    assert error["detail"] == "is not a whole image: the PNG is cut off"
    assert "whole" in error["fix"]


def test_regression_long_seed(api: Caller, sandbox: SandboxDesk) -> None:
    """A seed of more than 53 bits is kept to the last digit; Redis' Lua used to round it."""
    for seed in (2**64 - 1, 10**22 + 1):
        job_id = api.create("a long seed", input={"prompt": "s", "seed": seed})
        view = api.ended(job_id)
        assert view["status"] == "succeeded"
        assert view["provider"]["seed"] == seed
        assert [task["seed"] for task in sandbox.tasks(job_id)] == [seed]
