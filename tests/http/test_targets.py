"""Methods, targets and versions that are valid HTTP, or nearly, and not what is served here."""

import json

import pytest

from stack.stack import Stack
from tests.http.raw_http import Answer, Wire, ask, head, whole

LIVE = b'{"status":"alive"}'


def _raw(relay: Stack, first_line: str, host: str = "a") -> Answer:
    """Return the one answer that the connection ends with."""
    with Wire.to(relay.service_url) as wire:
        wire.send(f"{first_line}\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        return whole(wire.rest())


def _problem(answer: Answer) -> str:
    """Return the kind of a problem document."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = json.loads(answer.body)
    assert document["status"] == answer.status
    return str(document["type"]).removeprefix("urn:fluxrelay:problem:")


@pytest.mark.parametrize(
    "path",
    ["//livez", "/livez/", "/./livez", "/x/../livez", "//v1//jobs", "/v1/jobs/", "/v1/models/",
     "/v1/%64ead-letters/", "/webhooks", "/LIVEZ", "/V1/Jobs"],
)  # fmt: skip
def test_a_path_that_is_nearly_ours_is_answered_in_our_format(relay: Stack, path: str) -> None:
    """Whoever writes it means the native API."""
    answer = ask(relay.service_url, head("GET", path))

    assert (answer.status, _problem(answer)) == (404, "not-found")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path",
    ["/", "//", "/v1/flux-9", "/flux-pro-1.1", "/x//livez", "/...", "/v1/jbos", "/v2/jobs",
     "/v1/job", "/v1/batches/x/y", "/foo"],
)  # fmt: skip
def test_any_other_path_is_a_problem_as_well(relay: Stack, method: str, path: str) -> None:
    """It says where to look; clients of the provider find the `detail` that they look for."""
    answer = ask(relay.service_url, head(method, path))

    assert (answer.status, _problem(answer)) == (404, "not-found")
    assert "/openapi.json" in json.loads(answer.body)["detail"]


@pytest.mark.parametrize(
    "line", ["OPTIONS * HTTP/1.1", "GET * HTTP/1.1", "GET ftp://a/livez HTTP/1.1"]
)
def test_a_target_that_is_no_path_is_refused(relay: Stack, line: str) -> None:
    """The server as a whole has nothing to say; all else has a path."""
    answer = _raw(relay, line)

    assert (answer.status, _problem(answer)) == (400, "bad-request")
    assert json.loads(answer.body)["detail"].endswith("send a path such as /v1/jobs")


@pytest.mark.parametrize("target", ["http://a/livez", "HTTP://A/livez", "https://a/livez?x=1"])
def test_a_whole_url_of_this_host_is_served(relay: Stack, target: str) -> None:
    """Servers must accept it (RFC 9112 section 3.2.2)."""
    answer = _raw(relay, f"GET {target} HTTP/1.1")

    assert (answer.status, answer.body) == (200, LIVE)


@pytest.mark.parametrize("target", ["http://a", "http://a?x=1"])
def test_a_url_without_a_path_means_the_root(relay: Stack, target: str) -> None:
    """It is not a mistake of the client (RFC 9112 section 3.2.1)."""
    answer = _raw(relay, f"GET {target} HTTP/1.1")

    assert (answer.status, _problem(answer)) == (404, "not-found")


@pytest.mark.parametrize("target", ["http://b/livez", "http://a:81/livez", "http://[::1/livez"])
def test_a_whole_url_of_another_host_is_refused(relay: Stack, target: str) -> None:
    """Links are made from the Host header, so both must name the same host."""
    answer = _raw(relay, f"GET {target} HTTP/1.1")

    assert (answer.status, _problem(answer)) == (400, "bad-request")
    assert "Host" in json.loads(answer.body)["detail"]


@pytest.mark.parametrize("method", ["BREW", "get", "Post", "GETX", "X-LOOK", "LISTEN"])
def test_a_method_that_nobody_knows_is_not_implemented(relay: Stack, method: str) -> None:
    """501 tells it from a method that one path does not have (RFC 9110 section 9.1)."""
    answer = _raw(relay, f"{method} /v1/jobs HTTP/1.1")

    assert (answer.status, _problem(answer)) == (501, "unknown-method")


@pytest.mark.parametrize("method", ["PATCH", "PROPFIND", "OPTIONS", "TRACE"])
def test_a_method_that_a_path_does_not_have_is_not_allowed(relay: Stack, method: str) -> None:
    """The Allow header names those that it has."""
    answer = _raw(relay, f"{method} /v1/jobs HTTP/1.1")

    assert (answer.status, _problem(answer)) == (405, "method-not-allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0", "3.0"])
def test_another_version_of_http_is_told_so(relay: Stack, version: str) -> None:
    """Neither is anything served in a version whose rules are others."""
    answer = _raw(relay, f"GET /livez HTTP/{version}")

    assert (answer.status, _problem(answer)) == (505, "http-version")


@pytest.mark.parametrize(
    ("raw", "status", "said"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/1.1"),
        (b"\x16\x03\x01\x00\xf1\x01\x00\x00\xed\x03\x03" + b"\0" * 200, 400, "TLS"),
        (b"\0" * 50, 400, "not valid HTTP/1.1"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", 400, "not valid HTTP/1.1"),
        (b"GET /livez HTTP/1.1\r\nhost : a\r\n\r\n", 400, "header token"),
        ("GET /é HTTP/1.1\r\nhost: a\r\n\r\n".encode(), 400, "url path"),
    ],
    ids=["HTTP/2", "TLS", "zeros", "SSH", "space in a name", "no ASCII"],
)
def test_what_is_no_http_is_told_so(relay: Stack, raw: bytes, status: int, said: str) -> None:
    """The text says what was found."""
    with Wire.to(relay.service_url) as wire:
        wire.send(raw)
        answer = whole(wire.rest())

    assert answer.status == status
    assert said in json.loads(answer.body)["detail"]
