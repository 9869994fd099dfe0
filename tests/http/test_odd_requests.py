"""Requests that no client should make, and some do."""

import socket

import httpx

from stack.stack import Stack
from tests.conftest import Eventually


def _post(relay: Stack, path: str, body: object) -> httpx.Response:
    headers = {"authorization": f"Bearer {relay.api_key}"}
    url = relay.service_url + path
    return httpx.post(url, json=body, headers=headers, timeout=60, trust_env=False)


def test_many_mistakes_make_no_larger_answer_than_a_hundred(relay: Stack) -> None:
    """The number of all errors is told, the first hundred are shown."""
    body = {f"unknown-{number}": 1 for number in range(5000)}

    answer = _post(relay, "/v1/jobs", body)

    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 100
    assert "5001 fields" in answer.json()["detail"]


def test_a_slash_too_many_is_no_redirect(relay: Stack) -> None:
    """The answer is a problem document that says there is nothing."""
    answer = _post(relay, "/v1/jobs/", {})

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_caller_who_leaves_is_no_crash_of_ours(relay: Stack, eventually: Eventually) -> None:
    """A connection that ends within a body is logged as such, and the service goes on."""
    host, port = relay.service_url.removeprefix("http://").split(":")
    head = (
        "POST /v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n"
        f"authorization: Bearer {relay.api_key}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode() + b'{"model": ')
    service = relay.processes["service"]

    eventually(lambda: '"request.cut_off"' in service.output())
    assert '"request.crashed"' not in service.output()
    assert httpx.get(f"{relay.service_url}/livez", trust_env=False, timeout=60).status_code == 200
