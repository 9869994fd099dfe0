"""Large images pass through in little memory, and a store that is away is a 503."""

import base64
import io
import json
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import redis
from PIL import Image

from core.security.signatures import sample_signature
from stack.servers.ports import Ports
from stack.stack import Stack
from tests.drop_in.conftest import SMALL, Client, MakeClient, RunService, digest
from tests.drop_in.test_tasks import put_at

SIZE = 96 * 1024 * 1024  # bytes
ROOM = 16 * 1024 * 1024  # bytes that the service may grow by


def peak(pid: int) -> int:
    """Return the most memory that a process has held, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


@pytest.mark.usefixtures("full_house")
def test_a_large_image_in_little_memory(
    client: Client, relay: Stack, redis_of: "redis.Redis"
) -> None:
    """An image of 96 MiB is sent to four slow clients, and the service grows by less than 16."""
    task_id = client.submitted("large")["id"]
    data = bytes(range(256)) * (SIZE // 256)
    key = f"large/{task_id}.png"
    relay.s3().put_object(Bucket=relay.bucket, Key=key, Body=data)
    facts = {"sha256": digest(data), "content_type": "image/png", "bytes": SIZE}
    image = json.dumps({"bucket": relay.bucket, "key": key, **facts})
    put_at(redis_of, task_id, "succeeded", image=image)
    signature = sample_signature(relay.credentials.webhook_secret, task_id)
    url = f"{relay.service_url}/v1/samples/{task_id}.png?sig={signature}"
    pid = relay.processes["service"].pid
    httpx.get(url, headers={"range": "bytes=0-99"}, trust_env=False, timeout=60).raise_for_status()
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    before = peak(pid)
    with ExitStack() as slow:
        for _ in range(3):
            answer = slow.enter_context(httpx.stream("GET", url, trust_env=False, timeout=60))
            next(answer.iter_raw(1))  # the rest of it is never read
        assert httpx.get(url, trust_env=False, timeout=60).content == data
    assert peak(pid) - before < ROOM


def test_no_bucket(
    client: Client, clients: MakeClient, second_service: RunService, ports: Ports
) -> None:
    """While S3 is away, images and submits with images are a 503 with a detail; polls go on."""
    ready = client.finished(client.submitted("stored before")["id"])
    picture = io.BytesIO()
    Image.new("RGB", (64, 64)).save(picture, "PNG")
    with second_service(AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{ports.take()}") as url:
        cut_off = clients(url)
        link = cut_off.result(ready["id"])["result"]["sample"]
        body = {
            "prompt": "p",
            "image_prompt": base64.b64encode(picture.getvalue()).decode(),
            **SMALL,
        }
        for answer in (cut_off.http.get(link), cut_off.submit(body)):
            assert (answer.status_code, list(answer.json())) == (503, ["detail"]), answer.text
            assert int(answer.headers["retry-after"]) > 0
