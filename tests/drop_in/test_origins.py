"""Links lead to where the client sent its request, also through proxies that are trusted."""

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from service.http.origin import _read, origin_of
from service.http.proxy_hint import ProxyHint
from stack.stack import Stack
from tests.drop_in.conftest import MODEL, SMALL, Client, MakeClient, RunService

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


def test_strangers_headers_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header is read only where its sender is believed: reading costs time."""
    read: list[str] = []

    def note(text: str) -> list[object]:
        read.append(text)
        return []

    monkeypatch.setattr("service.http.origin._read", note)
    assert origin("203.0.113.5", ("forwarded", "host=evil.example")) == "http://relay.example"
    assert read == []
    origin("10.0.0.7", ("forwarded", "host=api.example"))
    assert read == ["host=api.example"]


def test_long_headers_say_nothing() -> None:
    """Of a `Forwarded` of more than 4096 characters nothing counts, nor of what stands beside."""
    beside = ("x-forwarded-host", "evil.example")
    for length, host in ((4096, "api.example"), (4097, "relay.example")):
        forwarded = "host=api.example;by=".ljust(length, "x")
        assert origin("10.0.0.7", ("forwarded", forwarded), beside) == f"http://{host}"


@pytest.mark.parametrize("piece", ["a", " ", '\\"', '"', "a=", ";", ",", '"\\', '=" '])
def test_headers_are_read_in_linear_time(piece: str) -> None:
    """A long header that fits no pair is read once, for a squared time would never end."""
    for before, after in (("", ""), ('"', ""), ('a="', ""), ("", '"'), ("", "\\")):
        for hop in _read(before + piece * 100_000 + after):
            assert hop.host == ""


@pytest.mark.parametrize(
    ("forwarded", "host"),
    [
        ("garbage, for=10.0.0.8;host=api.example", "api.example"),
        ("host=api.example, garbage", "relay.example"),
        ("host=evil.example, ,host=api.example;,", "api.example"),
        ('by="a,b;\\"c" ; host="api.example" ;', "api.example"),
        ("junk; host=api.example;a = b", "api.example"),
        ('host=api.example;by="open', "relay.example"),
        ('by="open, host=api.example', "relay.example"),
    ],
)
def test_odd_headers(forwarded: str, host: str) -> None:
    """What is no pair is passed over, and a header with an open quote is passed over as a whole."""
    assert origin("10.0.0.7", ("forwarded", forwarded)) == f"http://{host}"


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


def _noticed(origin: str, *headers: tuple[str, str]) -> str | None:
    names = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "client": ("192.0.2.7", 5000), "headers": names}
    hint = ProxyHint()
    hint.look(Request(scope), origin)
    return hint.text


@pytest.mark.parametrize(
    "header",
    [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-proto", "HTTPS, http"),
        ("forwarded", "for=198.51.100.1;proto=https"),
        ("forwarded", 'proto="https";host=a'),
    ],
)
def test_a_proxy_with_tls_that_is_not_trusted_is_noticed(header: tuple[str, str]) -> None:
    """Links begin with http:// although the client came over TLS: the setting is named."""
    text = _noticed("http://relay.example", header)
    assert text
    assert "192.0.2.7" in text
    assert "FLUXRELAY_TRUSTED_PROXIES" in text
    assert _noticed("https://relay.example", header) is None


@pytest.mark.parametrize(
    "header",
    [
        ("x-forwarded-proto", "http"),
        ("x-forwarded-proto", "http, https"),
        ("forwarded", "proto=http"),
        ("forwarded", "for=https"),
        ("x-forwarded-for", "10.0.0.1"),
    ],
)
def test_a_proxy_without_tls_is_no_news(header: tuple[str, str]) -> None:
    """Where the client came over plain HTTP, its links are right."""
    assert _noticed("http://relay.example", header) is None


def test_what_was_noticed_is_shown(clients: MakeClient, second_service: RunService) -> None:
    """`/readyz` says so once such a request came, and says `ok` before."""
    with second_service() as url:
        client = clients(url)
        assert client.http.get("/readyz").json()["proxy"] == "ok"
        headers = client.headers | {"x-forwarded-proto": "https"}
        body = {"prompt": "by way of a proxy", **SMALL}
        client.http.post(f"/v1/{MODEL}", json=body, headers=headers).raise_for_status()
        assert "FLUXRELAY_TRUSTED_PROXIES" in client.http.get("/readyz").json()["proxy"]
