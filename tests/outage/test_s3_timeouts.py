"""While S3 is silent, requests that need it wait for it; no other request does."""

import base64
import io
import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest
from PIL import Image

from service.app import IMAGE_THREADS, THREADS
from stack.options import StackOptions
from tests.conftest import Eventually
from tests.outage.conftest import RECOVERY, Town, opened
from tests.outage.s3_proxy import Fault, Manner, S3Proxy
from tests.timing import FAST, FAST_SANDBOX

#: More than there are threads for all intakes together.
CROWD = THREADS + IMAGE_THREADS + 12
HANGS = Fault(Manner.HANG, match="/_inputs/")


@pytest.fixture(scope="module")
def proxy() -> Iterator[S3Proxy]:
    """Run a proxy for S3, whose server comes later."""
    with S3Proxy() as running:
        yield running


@pytest.fixture(scope="module")
def town(proxy: S3Proxy, eventually: Eventually) -> Iterator[Town]:
    """Run the whole product, patient with S3."""
    variables = {
        **FAST,
        "AWS_ENDPOINT_URL_S3": proxy.url,
        "FLUXRELAY_STORAGE_TIMEOUT_SECONDS": "100",
    }
    options = StackOptions(relay_variables=variables, sandbox_variables=FAST_SANDBOX)
    with opened(options, eventually) as made:
        proxy.upstream = made.stack.seaweed.endpoint
        yield made


@dataclass(frozen=True)
class Crowd:
    """Callers who wait for S3."""

    posts: list[Future[httpx.Response]]
    #: One entry for each body that was sent as a whole.
    sent: list[None]


@pytest.fixture(scope="module")
def crowd(town: Town, proxy: S3Proxy) -> Iterator[Crowd]:
    """Have more jobs with images come in than there are threads, all waiting for S3."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    picture = base64.b64encode(buffer.getvalue()).decode()
    body = {"model": "flux-kontext-pro", "input": {"prompt": "x", "input_image": picture}}
    raw = json.dumps(body).encode()
    sent: list[None] = []

    def told() -> Iterator[bytes]:
        yield raw
        sent.append(None)

    proxy.order(HANGS)
    limits = httpx.Limits(max_connections=CROWD)
    with (
        httpx.Client(
            base_url=town.stack.service_url, timeout=100, trust_env=False, limits=limits
        ) as client,
        ThreadPoolExecutor(CROWD) as threads,
    ):
        headers = {"x-key": town.stack.api_key, "content-type": "application/json"}
        try:
            posts = [
                threads.submit(client.post, "/v1/jobs", content=told(), headers=headers)
                for _ in range(CROWD)
            ]
            yield Crowd(posts, sent)
        finally:
            proxy.clear()


def test_other_requests_do_not_wait(town: Town, crowd: Crowd, eventually: Eventually) -> None:
    """Jobs without images, webhooks, reads and health checks are answered while images wait."""
    eventually(lambda: len(crowd.sent) == CROWD and HANGS.met >= IMAGE_THREADS, RECOVERY)

    town.create("no image")
    assert town.client.get("/readyz").status_code == 200
    assert town.client.get("/v1/jobs/none").status_code == 404
    assert town.webhook("none", {"id": "t", "status": "Pending"}).status_code == 200
    assert not any(post.done() for post in crowd.posts)


def test_those_that_waited_are_told(proxy: S3Proxy, crowd: Crowd) -> None:
    """They get a 503, or a 202 if it was their turn only when S3 was back."""
    proxy.clear()

    statuses = [post.result(timeout=RECOVERY).status_code for post in crowd.posts]

    assert set(statuses) <= {503, 202}
    assert statuses.count(503) >= IMAGE_THREADS
