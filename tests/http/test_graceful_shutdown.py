"""A service that is told to stop goes in the order that a balancer needs."""

import base64
import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from core.security.signatures import webhook_secret
from stack.stack import Stack
from tests.conftest import Eventually
from tests.http.conftest import OwnService, RunService
from tests.http.raw_http import Answer, Wire, ask, head, whole
from tests.outage.s3_proxy import Fault, Manner, S3Proxy

#: Longer than any test: what ends before was ended by something else.
NEVER = "3600"
JOB = json.dumps({"model": "flux-pro-1.1", "input": {"prompt": "p", "width": 256}}).encode()


def post(key: str) -> bytes:
    """Return the head of a request that brings the job."""
    return head("POST", "/v1/jobs", f"x-key: {key}", f"content-length: {len(JOB)}")


def readiness(service: OwnService) -> Answer:
    """Ask whether a service is ready."""
    return ask(service.url, head("GET", "/readyz"))


def drains(service: OwnService, eventually: Eventually) -> None:
    """Wait until a service says that it leaves, to whoever asks on a new connection."""
    eventually(lambda: readiness(service).status == 503)
    eventually(lambda: '"service.draining"' in service.process.output())


def test_readiness_goes_first_and_requests_are_still_served(
    own_service: RunService, relay: Stack, eventually: Eventually
) -> None:
    """After SIGTERM /readyz is 503, new and kept connections are served, and told to close."""
    with own_service(FLUXRELAY_DRAIN_SECONDS=NEVER) as service, Wire.to(service.url) as kept:
        kept.send(post(relay.api_key) + JOB)
        assert "connection" not in kept.answer().headers
        service.process.request_stop()
        drains(service, eventually)

        answer = readiness(service)
        assert json.loads(answer.body)["type"] == "urn:fluxrelay:problem:draining"
        assert ask(service.url, head("GET", "/livez")).status == 200
        kept.send(post(relay.api_key) + JOB)
        last = kept.answer()
        assert last.status == 202
        assert last.headers["connection"] == "close"
        assert kept.rest() == b""
        fresh = ask(service.url, post(relay.api_key) + JOB)
        assert fresh.status == 202
        assert fresh.headers["connection"] == "close"

        service.process.request_stop()
        eventually(lambda: not service.process.is_alive)
        assert service.process.exit_code == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_pause(
    own_service: RunService, eventually: Eventually, second: signal.Signals
) -> None:
    """Whoever does not want to wait says it again."""
    with own_service(FLUXRELAY_DRAIN_SECONDS=NEVER) as service:
        service.process.request_stop()
        drains(service, eventually)
        os.kill(service.process.pid, second)
        eventually(lambda: not service.process.is_alive)
        assert service.process.exit_code == 0


@pytest.mark.parametrize(
    ("first", "pause"), [(signal.SIGINT, NEVER), (signal.SIGTERM, "0"), (signal.SIGTERM, "0.2")]
)
def test_a_stop_without_a_second_signal(
    own_service: RunService, eventually: Eventually, first: signal.Signals, pause: str
) -> None:
    """The keyboard waits for no balancer, a pause of 0 is none, and a pause has an end."""
    with own_service(FLUXRELAY_DRAIN_SECONDS=pause) as service:
        os.kill(service.process.pid, first)
        eventually(lambda: not service.process.is_alive)
        assert service.process.exit_code == 0


def test_a_request_under_way_is_answered(
    own_service: RunService, relay: Stack, eventually: Eventually
) -> None:
    """A body that was half sent when the service stopped taking connections is taken in."""
    with own_service(FLUXRELAY_DRAIN_SECONDS="0", FLUXRELAY_SERVICE_GRACE_SECONDS=NEVER) as service:
        with Wire.to(service.url) as late:
            late.send(post(relay.api_key) + JOB[:10])
            # An answer on a later connection: by then the half was read.
            assert ask(service.url, head("GET", "/livez")).status == 200
            service.process.request_stop()
            eventually(lambda: refuses(service))
            late.send(JOB[10:])
            answer = late.answer()
            assert answer.status == 202
            assert answer.headers["connection"] == "close"
        eventually(lambda: not service.process.is_alive)
        assert service.process.exit_code == 0


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/flux-pro-1.1", "/webhooks/bfl/some-job"])
@pytest.mark.parametrize("end", ["the grace", "Ctrl-C"])
def test_a_request_that_outlasts_the_grace_is_told_to_come_again(
    own_service: RunService, relay: Stack, eventually: Eventually, path: str, end: str
) -> None:
    """503 with `Retry-After`, in the called API's format, without a traceback."""
    grace = "1" if end == "the grace" else NEVER
    secret = webhook_secret(relay.credentials.webhook_secret, "some-job")
    headers = (f"x-key: {relay.api_key}", f"x-webhook-secret: {secret}", "content-length: 100")
    with own_service(FLUXRELAY_DRAIN_SECONDS="0", FLUXRELAY_SERVICE_GRACE_SECONDS=grace) as service:
        with Wire.to(service.url) as late:
            late.send(head("POST", path, *headers) + b"{")
            assert ask(service.url, head("GET", "/livez")).status == 200
            service.process.request_stop()
            if end == "Ctrl-C":
                eventually(lambda: refuses(service))
                os.kill(service.process.pid, signal.SIGINT)
            answer = whole(late.rest())
        eventually(lambda: not service.process.is_alive)

    check_cut_off(answer, path)
    assert service.process.exit_code == 0
    assert "Traceback" not in service.process.output()


def check_cut_off(answer: Answer, path: str) -> None:
    """Look at the answer to a request that the process had no time for."""
    assert answer.status == 503
    assert answer.headers["connection"] == "close"
    assert int(answer.headers["retry-after"]) > 0
    document = json.loads(answer.body)
    assert "Idempotency-Key" in document["detail"]
    if path == "/v1/flux-pro-1.1":
        assert list(document) == ["detail"]
    else:
        assert document["type"] == "urn:fluxrelay:problem:stopped"


def test_who_sends_a_large_body_to_the_end_of_the_grace_can_read_why_it_was_in_vain(
    own_service: RunService, relay: Stack
) -> None:
    """What it goes on sending does not take the answer away."""
    size = 64 * 1024 * 1024
    start = head("POST", "/v1/jobs", f"x-key: {relay.api_key}", f"content-length: {size}")
    answered = threading.Event()
    with (
        own_service(FLUXRELAY_DRAIN_SECONDS="0", FLUXRELAY_SERVICE_GRACE_SECONDS="1") as service,
        Wire.to(service.url) as late,
        ThreadPoolExecutor(1) as sender,
    ):
        late.send(start, b'{"input": {"prompt": "', b"x" * 65536)
        assert ask(service.url, head("GET", "/livez")).status == 200
        sent = sender.submit(_send_until, answered, late)
        service.process.request_stop()
        try:
            check_cut_off(whole(late.rest()), "/v1/jobs")
        finally:
            answered.set()
        assert sent.result() > 0


def _send_until(answered: threading.Event, wire: Wire) -> int:
    """Send a little again and again, as long as the other side takes it; return how often."""
    count = 0
    with suppress(OSError):
        while not answered.wait(0.01):
            wire.send(b"x" * 512)
            count += 1
    return count


def test_a_silent_bucket_does_not_keep_a_service_that_was_told_to_leave(
    own_service: RunService, relay: Stack, picture: bytes, eventually: Eventually
) -> None:
    """Its request is told to come again, and the thread that waits for S3 ends with the process."""
    image = base64.b64encode(picture).decode()
    job = {"model": "flux-kontext-pro", "input": {"prompt": "p", "input_image": image}}
    body = json.dumps(job).encode()
    start = head("POST", "/v1/jobs", f"x-key: {relay.api_key}", f"content-length: {len(body)}")
    silence = Fault(Manner.HANG, match="/_inputs/")
    variables = {
        "FLUXRELAY_STORAGE_TIMEOUT_SECONDS": NEVER,
        "FLUXRELAY_DRAIN_SECONDS": "0",
        "FLUXRELAY_SERVICE_GRACE_SECONDS": "1",
    }
    with (
        S3Proxy() as proxy,
        own_service(AWS_ENDPOINT_URL_S3=proxy.url, **variables) as service,
        Wire.to(service.url) as late,
    ):
        proxy.order(silence)
        late.send(start + body)
        eventually(lambda: silence.met == 1)
        service.process.request_stop()

        check_cut_off(whole(late.rest()), "/v1/jobs")
        eventually(lambda: not service.process.is_alive)

    assert service.process.exit_code == 0
    assert '"service.cut_off"' in service.process.output()


def refuses(service: OwnService) -> bool:
    """Say whether a service takes no more connections."""
    try:
        with Wire.to(service.url):
            return False
    except OSError:
        return True
