"""A client in environments as they are: pasted keys, proxies and certificates that cannot be."""

import asyncio
from pathlib import Path

import pytest

from fluxrelay import AsyncFluxRelay, FluxRelay
from fluxrelay.errors import ConfigurationError, UnreachableError
from stack.stack import Stack
from tests.client.conftest import MakeClient

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take those variables away that httpx heeds."""
    for name in _PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {} ", "\t{}\r", "\n\n{}\n"])
def test_a_line_end_belongs_to_no_key_and_no_address(
    monkeypatch: pytest.MonkeyPatch, make_client: MakeClient, relay: Stack, around: str
) -> None:
    """Files and secret stores leave one; in a header, it would show the key in an error."""
    url, key = around.format(relay.service_url), around.format(relay.api_key)
    assert make_client(url, key).models.list()

    monkeypatch.setenv("FLUXRELAY_URL", url)
    monkeypatch.setenv("FLUXRELAY_KEY", key)
    with FluxRelay() as client:
        assert client.models.list()


@pytest.mark.parametrize("key", ["secret\nkey", "secret\rkey", "\ufeffsecret-key"])
def test_a_key_that_cannot_be_sent_is_not_shown(key: str) -> None:
    """It is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match="printable") as caught:
        FluxRelay("http://relay.example", key)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://[::1", "http://relay.example/a\nb", " ", "http:///x"])
def test_what_is_no_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """It is refused as an error of ours."""
    monkeypatch.delenv("FLUXRELAY_URL", raising=False)
    with pytest.raises(ConfigurationError, match="address"):
        FluxRelay(url, "a-key")


@pytest.mark.parametrize("host", ["xn--a", "xn--zzzzzz", "a..b"])
def test_a_host_name_that_cannot_be_one(make_client: MakeClient, host: str) -> None:
    """It is nothing that answers, like a name that nobody has."""
    with pytest.raises(UnreachableError):
        make_client(f"http://{host}", "a-key").models.list()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ALL_PROXY", "socks5h://user:secret@127.0.0.1:1", "ALL_PROXY names a SOCKS proxy"),
        ("http_proxy", "ftp://user:secret@127.0.0.1:1", "http_proxy must be the URL of a proxy"),
        ("HTTP_PROXY", "http://user:sec#ret@127.0.0.1", "HTTP_PROXY must be the URL of a proxy"),
        ("HTTPS_PROXY", "http://[::1", "HTTPS_PROXY must be the URL of a proxy"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE cannot be used: No such file"),
        ("SSL_CERT_FILE", __file__, "SSL_CERT_FILE cannot be used: "),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    """Both clients raise an error of ours, without a proxy's password."""
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=told) as caught:
        FluxRelay("http://relay.example", "a-key")
    assert "sec" not in str(caught.value).replace("SOCKS", "")

    async def main() -> None:
        with pytest.raises(ConfigurationError, match=told):
            AsyncFluxRelay("http://relay.example", "a-key")

    asyncio.run(main())


def test_a_certificate_of_ones_own_is_no_error(
    monkeypatch: pytest.MonkeyPatch, make_client: MakeClient, relay: Stack, tmp_path: Path
) -> None:
    """A folder without certificates is heeded, and a proxy for other hosts is passed by."""
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,::1,.example,")
    assert make_client(relay.service_url, relay.api_key).models.list()
