"""Links lead to where the client sent its request, also through proxies that are trusted."""

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from service.origin import origin_of
from stack.stack import Stack
from tests.face.conftest import SMALL, Client, MakeClient

TRUSTED = (ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def origin(peer: str, *headers: tuple[str, str], scheme: str = "http") -> str:
    """Return the origin of a request that came from `peer` to relay.example with headers."""
    names = [(b"host", b"relay.example"), *((n.encode(), v.encode()) for n, v in headers)]
    scope = {
        "type": "http", "method": "GET", "path": "/", "query_string": b"", "scheme": scheme,
        "client": (peer, 5000), "server": ("10.1.2.3", 8080), "headers": names,
    }  # fmt: skip
    return origin_of(Request(scope), TRUSTED)


def test_without_a_proxy() -> None:
    """The Host header and the connection's own scheme say it."""
    assert origin("203.0.113.5") == "http://relay.example"
    assert origin("203.0.113.5", scheme="https") == "https://relay.example"


@pytest.mark.parametrize("peer", ["203.0.113.5", "11.0.0.1", "not an address", "::1", ""])
def test_strangers_are_not_believed(peer: str) -> None:
    """Whatever a client that is no trusted proxy says of itself changes nothing."""
    plain = [("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https")]
    assert origin(peer, *plain, ("x-forwarded-for", "10.0.0.1")) == "http://relay.example"
    assert origin(peer, ("forwarded", "host=evil.example;proto=https")) == "http://relay.example"


@pytest.mark.parametrize("peer", ["10.0.0.7", "::ffff:10.0.0.7", "fd00::1"])
def test_one_proxy(peer: str) -> None:
    """A trusted proxy's word counts, in both kinds of headers, and part by part."""
    both = [("x-forwarded-proto", "https"), ("x-forwarded-host", "api.example:8443")]
    assert origin(peer, *both) == "https://api.example:8443"
    assert origin(peer, both[0]) == "https://relay.example"
    assert origin(peer, both[1]) == "http://api.example:8443"
    forwarded = 'for="[2001:db8::5]:4711";proto=HTTPS;host="api.example:8443";by=10.0.0.7'
    assert origin(peer, ("forwarded", forwarded)) == "https://api.example:8443"
    assert origin(peer, ("forwarded", "host=a.example"), *both) == "http://a.example"


def test_chains_of_proxies() -> None:
    """Of several proxies the outermost trusted one has the word, and what comes before it none."""
    chain = [
        ("x-forwarded-for", "198.51.100.1, 203.0.113.5, 10.0.0.8"),
        ("x-forwarded-host", "evil.example, api.example, inner.example"),
        ("x-forwarded-proto", "http, https, http"),
    ]
    assert origin("10.0.0.7", *chain) == "https://api.example"
    forwarded = "for=198.51.100.1;host=evil.example, for=203.0.113.5;host=api.example;proto=https"
    inner = 'for="10.0.0.8:99";host=inner.example;proto=http'
    assert origin("10.0.0.7", ("forwarded", f"{forwarded}, {inner}")) == "https://api.example"
    apart = [("forwarded", forwarded), ("forwarded", inner)]
    assert origin("10.0.0.7", *apart) == "https://api.example"


@pytest.mark.parametrize("host", ["a b", "a/../b", "user@host", "a\\b", 'x"y', "host:port", ""])
def test_hosts_that_are_none(host: str) -> None:
    """A host that could not stand in a URL is not put into one."""
    assert origin("10.0.0.7", ("x-forwarded-host", host)) in (
        "http://10.1.2.3:8080",  # the address that was connected to
        "http://relay.example",
    )


@pytest.mark.parametrize("proto", ["ftp", "javascript", "https://x", ""])
def test_schemes_that_are_none(proto: str) -> None:
    """A scheme other than http and https is not believed."""
    assert origin("10.0.0.7", ("x-forwarded-proto", proto)) == "http://relay.example"


FORWARDED = {"x-forwarded-proto": "https", "x-forwarded-host": "api.example"}


def test_over_http_untrusted(client: Client, relay: Stack) -> None:
    """As it is delivered the service believes no proxy, not even one on its own machine."""
    task = client.submit({"prompt": "p", **SMALL}, headers=FORWARDED).json()
    assert task["polling_url"] == f"{relay.service_url}/v1/get_result?id={task['id']}"


def test_over_http_trusted(proxied: str, clients: MakeClient) -> None:
    """Behind a trusted proxy both links lead to the proxy's own origin."""
    client = clients(proxied)
    task = client.submit({"prompt": "p", **SMALL}, headers=FORWARDED).json()
    assert task["polling_url"] == f"https://api.example/v1/get_result?id={task['id']}"
    client.finished(task["id"])
    result = client.get(f"/v1/get_result?id={task['id']}", **FORWARDED).json()["result"]
    assert result["sample"].startswith(f"https://api.example/v1/samples/{task['id']}.")
