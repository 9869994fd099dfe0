"""Links lead below the path that we are offered at."""

import json
from ipaddress import ip_network

import httpx
import pytest
from starlette.requests import Request

from service.http.origin import origin_of, prefix_of
from stack.stack import Stack
from tests.drop_in.conftest import SMALL, MakeClient, RunService

TRUSTED = (ip_network("10.0.0.0/8"),)


def request(peer: str, *headers: tuple[str, str]) -> Request:
    """Return a request that came from `peer` to relay.example with headers."""
    names = [(b"host", b"relay.example"), *((n.encode(), v.encode()) for n, v in headers)]
    return Request(
        {
            "type": "http", "method": "GET", "path": "/", "query_string": b"", "scheme": "http",
            "client": (peer, 5000), "server": ("10.1.2.3", 8080), "headers": names,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("/relay", "/relay"), ("/relay/", "/relay"), ("/a/b-c/d_e.f~1", "/a/b-c/d_e.f~1"),
        ("/", ""), ("", ""), ("relay", ""), ("//evil.example", ""), ("/a//b", ""), ("/..", ""),
        ("/a/../b", ""), ("/a/.", ""), ("/a?b=c", ""), ("/a#b", ""), ("/a b", ""), ("/a\\b", ""),
        ("/%2e%2e", ""), ("/ä", ""), ("https://evil.example/a", ""), ("/" + "x" * 300, ""),
    ],
)  # fmt: skip
def test_a_prefix_is_a_plain_path(text: str, prefix: str) -> None:
    """What could lead elsewhere is none, whoever says it."""
    asked = request("10.0.0.7", ("x-forwarded-prefix", text))
    assert prefix_of(asked, TRUSTED) == prefix
    assert origin_of(asked, TRUSTED) == f"http://relay.example{prefix}"


def test_only_trusted_proxies_are_believed() -> None:
    """A stranger's prefix changes nothing; of two proxies in a row the outer one has the word."""
    told = ("x-forwarded-prefix", "/relay")
    assert prefix_of(request("203.0.113.5", told), TRUSTED) == ""
    assert prefix_of(request("10.0.0.7", told), ()) == ""
    row = [("x-forwarded-for", "203.0.113.5, 10.0.0.8"), ("x-forwarded-prefix", "/evil, /out, /in")]
    assert prefix_of(request("10.0.0.7", *row), TRUSTED) == "/out"
    beside = [("forwarded", "host=api.example;proto=https"), told]
    assert origin_of(request("10.0.0.7", *beside), TRUSTED) == "https://api.example/relay"


def test_the_public_url_tells_of_a_path() -> None:
    """It counts where no proxy says otherwise."""
    public = "https://relay.example/images/"
    assert prefix_of(request("203.0.113.5"), (), public) == "/images"
    assert origin_of(request("203.0.113.5"), TRUSTED, public) == "http://relay.example/images"
    told = request("10.0.0.7", ("x-forwarded-prefix", "/relay"))
    assert prefix_of(told, TRUSTED, public) == "/relay"
    assert prefix_of(request("203.0.113.5"), (), "https://relay.example") == ""


def test_all_links_have_the_prefix(
    second_service: RunService, clients: MakeClient, relay: Stack
) -> None:
    """`polling_url`, `sample` and `Location`, by a proxy's word and by the public URL's path."""
    told = {"x-forwarded-prefix": "/told"}
    with second_service(
        FLUXRELAY_TRUSTED_PROXIES="127.0.0.0/8",
        # Webhooks get there by no proxy here; results are polled.
        FLUXRELAY_PUBLIC_URL=f"{relay.service_url}/public",
    ) as url:
        client = clients(url)
        for headers, prefix in (({}, "/public"), (told, "/told")):
            task = client.submit({"prompt": "p", **SMALL}, headers=headers).json()
            polling = f"{url}{prefix}/v1/get_result?id={task['id']}"
            assert task["polling_url"] == polling
            client.finished(task["id"])
            result = client.get(f"/v1/get_result?id={task['id']}", **headers).json()["result"]
            assert result["sample"].startswith(f"{url}{prefix}/v1/samples/{task['id']}.")
            job = json.dumps({"model": "flux-pro-1.1", "input": {"prompt": "p", **SMALL}})
            answer = httpx.post(
                f"{url}/v1/jobs",
                content=job,
                headers=client.headers | headers,
                trust_env=False,
                timeout=60,
            )
            assert answer.headers["location"] == f"{prefix}/v1/jobs/{answer.json()['id']}"
