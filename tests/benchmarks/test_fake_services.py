"""The benchmarks' own parts do what the product expects of the real ones."""

import asyncio
import base64
import hashlib
import io
import random
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from benchmarks.probes import backlog_filler, http_wire, load_generator
from benchmarks.product.deployment import NO_WORKERS, Deployment
from benchmarks.product.fake_services import seconds_of, wanted
from benchmarks.report import image_makers, video_makers
from core.media.mp4 import Video, read_video


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """Run the service with the fake services, and no worker."""
    with Deployment(workers=NO_WORKERS) as started:
        yield started


@pytest.mark.parametrize("size", [1_000, 100_000, 1_500_000])
def test_results_are_whole_images_of_the_wanted_size(size: int) -> None:
    """Pillow decodes every pixel, and the size is right to a few percent."""
    data = image_makers.noise(size)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
    assert abs(len(data) - size) < 0.1 * size


@pytest.mark.parametrize("size", [1_000, 3_000_000])
def test_results_are_whole_videos_of_the_wanted_size(tmp_path: Path, size: int) -> None:
    """Their boxes fill the file, and say what a video of the provider's says."""
    path = tmp_path / "video.mp4"
    video_makers.write(path, size)

    assert path.stat().st_size == size
    with path.open("rb") as file:
        assert read_video(file, size) == Video(5.0, 24.0, 1280, 736, ("video",))


def test_a_prompt_says_what_is_wanted() -> None:
    """Values are found by name, and have defaults."""
    prompt = "bytes=1500000 seconds=0.5-1.5"
    assert (wanted(prompt, "bytes", "1"), wanted(prompt, "hold", "0")) == ("1500000", "0")
    chance = random.Random(1)  # noqa: S311 - the same in every run
    assert seconds_of("2", chance) == 2.0
    assert all(0.5 <= seconds_of("0.5-1.5", chance) <= 1.5 for _ in range(100))


def test_a_message_is_read_whole() -> None:
    """A request that comes in pieces is read to the end of its body, and no further."""

    async def read() -> http_wire.Message:
        reader = asyncio.StreamReader()
        raw = http_wire.request("POST", "/a?b=c", "h:1", b"12345", webhook_id="msg_7")
        reader.feed_data(raw[:30])
        reader.feed_data(raw[30:] + b"more")
        return await http_wire.read(reader)

    message = asyncio.run(read())
    assert (message.method, message.target, message.body) == ("POST", "/a?b=c", b"12345")
    assert message.webhook_id == "7"


def test_the_load_generator_counts_each_answer(deployment: Deployment) -> None:
    """As many answers as requests, with their bodies."""
    raw = http_wire.request("GET", "/livez", f"127.0.0.1:{deployment.port}")
    seen = load_generator.drive(deployment.port, [raw] * 50, 4)
    assert [exchange.status for exchange in seen] == [200] * 50
    assert len({exchange.body for exchange in seen}) == 1


@pytest.mark.parametrize("name", ["5000.png", "5000.mp4"])
def test_results_carry_their_checksum(deployment: Deployment, name: str) -> None:
    """What the fake services serve matches its checksum, and the digest in their books."""
    size, _, ending = name.partition(".")
    url = f"{deployment.fake_url}/results/{size}/0/x.{ending}?se=2026-01-01T00:00:00Z"
    answer = httpx.get(url, trust_env=False)

    assert int(answer.headers["content-length"]) == len(answer.content)
    check = hashlib.md5(answer.content, usedforsecurity=False).digest()
    assert answer.headers["content-md5"] == base64.b64encode(check).decode()
    assert deployment.books()["files"][name] == hashlib.sha256(answer.content).hexdigest()


def test_a_filled_in_job_equals_a_real_one(deployment: Deployment) -> None:
    """Record, places in line and due time, and the memory they take, are those of a real job."""
    posted = deployment.post(40, "waits")
    redis = deployment.redis
    waiting = [job for job in posted if redis.hget(f"job:{job}", "status") == "queued"]
    model, count = waiting[0], 25
    before = redis.zcard("backlog:any")

    backlog_filler.fill(redis, model, count, begin=1000)

    copy = backlog_filler.name(1000 + count - 1)
    assert redis.hgetall(f"job:{copy}") == redis.hgetall(f"job:{model}")
    assert redis.zscore("backlog:any", copy) == redis.zscore("backlog:any", model)
    assert redis.zscore("due", f"deadline:{copy}") == redis.zscore("due", f"deadline:{model}")
    # The real one was changed in place, so it may lie in the next larger piece of memory.
    assert redis.memory_usage(f"job:{copy}", samples=0) == pytest.approx(
        redis.memory_usage(f"job:{model}", samples=0), rel=0.15
    )
    assert redis.zcard("backlog:any") == before + count
    for index in ("status:queued", "model:flux-pro-1.1"):
        places = (redis.zscore(f"jobs:demo:{index}", job) for job in (copy, model))
        assert list(places) == [0, 0]
    assert httpx.get(
        f"http://127.0.0.1:{deployment.port}/v1/jobs/{copy}",
        headers={"authorization": f"Bearer {deployment.stack.api_key}"},
        trust_env=False, timeout=60).json()["status"] == "queued"  # fmt: skip
