"""A compressed body is a 415 that says how to send it."""

import gzip
import json

import httpx
import pytest

from core.security.signatures import webhook_secret
from stack.stack import Stack
from tests.http.conftest import NothingTakenIn
from tests.http.test_bad_requests import check_problem

JOB = {"model": "flux-pro-1.1", "input": {"prompt": "p", "width": 256, "height": 256}}
FLAT = JOB["input"]


def _post(relay: Stack, path: str, body: object, encoding: str) -> httpx.Response:
    headers = {"x-key": relay.api_key, "content-encoding": encoding}
    raw = json.dumps(body).encode()
    content = gzip.compress(raw) if "gzip" in encoding else raw
    url = relay.service_url + path
    return httpx.post(url, content=content, headers=headers, timeout=60, trust_env=False)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "br", "zstd", "gzip, identity", "no such"])
def test_no_encoding_is_read(relay: Stack, nothing_taken_in: NothingTakenIn, encoding: str) -> None:
    """On both APIs, whatever the encoding, and nothing is taken in."""
    with nothing_taken_in():
        native = _post(relay, "/v1/jobs", JOB, encoding)
        theirs = _post(relay, "/v1/flux-pro-1.1", FLAT, encoding)

    detail = check_problem(native, 415, "content-encoding")
    assert encoding in detail
    assert "uncompressed" in detail
    assert native.headers["accept-encoding"] == "identity"
    assert theirs.status_code == 415
    assert theirs.json() == {"detail": detail}


@pytest.mark.parametrize("encoding", ["identity", "Identity", "", "identity, identity"])
def test_identity_is_no_encoding(relay: Stack, encoding: str) -> None:
    """It says that the body is as it is (RFC 9110 section 12.5.3)."""
    assert _post(relay, "/v1/jobs", JOB, encoding).status_code == 202


@pytest.mark.parametrize(
    "lines", [("identity", "br"), ("br", "identity"), ("", "gzip"), ("identity", "identity, zstd")]
)
def test_several_lines_are_one_list(
    relay: Stack, nothing_taken_in: NothingTakenIn, lines: tuple[str, str]
) -> None:
    """No line hides behind another (RFC 9110 section 5.3)."""
    headers = [("x-key", relay.api_key), *(("content-encoding", line) for line in lines)]
    for path, body in (("/v1/jobs", JOB), ("/v1/flux-pro-1.1", FLAT)):
        with nothing_taken_in():
            answer = httpx.post(
                relay.service_url + path, json=body, headers=headers, timeout=60, trust_env=False
            )
        assert answer.status_code == 415


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_compressed_webhook_is_told_so(relay: Stack, encoding: str) -> None:
    """Even one that has the job's secret; it is nothing that could be taken for a notice."""
    secret = webhook_secret(relay.credentials.webhook_secret, "some-job")
    headers = {"x-webhook-secret": secret, "content-encoding": encoding}
    url = f"{relay.service_url}/webhooks/bfl/some-job"
    content = gzip.compress(b'{"status": "Ready"}')

    answer = httpx.post(url, content=content, headers=headers, timeout=60, trust_env=False)

    assert encoding in check_problem(answer, 415, "content-encoding")
    assert answer.headers["accept-encoding"] == "identity"
