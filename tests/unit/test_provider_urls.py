"""To which URLs an account's key may be sent."""

import pytest

from core.security.address_rules import is_provider_url

TLS = ("https://api.bfl.ai", "https://gateway.example:8443/flux")
PLAIN = ("http://127.0.0.1:8090", "https://other.example")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.bfl.ai/v1/get_result?id=1",
        "https://api.eu2.bfl.ai/v1/get_result?id=1",
        "HTTPS://API.US4.BFL.AI:443/x",
        "https://api.us4.bfl.ai./x",
        "https://gateway.example/x",
        "https://gateway.example:9000/x",
    ],
)
def test_the_account_s_and_the_provider_s_hosts_get_the_key(url: str) -> None:
    """Over TLS any host below the provider's domain is the provider."""
    assert is_provider_url(url, TLS)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.bfl.ai/x",
        "http://api.eu2.bfl.ai:8080/x",
        "http://gateway.example:8443/flux",
        "https://bfl.ai.evil.example/x",
        "https://evilbfl.ai/x",
        "https://evil.example/api.bfl.ai",
        "https://evil.example?api.bfl.ai",
        "https://user:password@api.bfl.ai/x",
        "https://api.bfl.ai@evil.example/x",
        "https://evil.example\\@api.bfl.ai/x",
        "https://api.bfl.ai:0/x",
        "https://api.bfl.ai:99999/x",
        "https://.bfl.ai/x",
        "https://a..bfl.ai/x",
        "https://api%2ebfl.ai/x",
        "https://127.0.0.1/x",
        "ftp://api.bfl.ai/x",
        "//api.bfl.ai/x",
        "api.bfl.ai",
        "https://[::1",
        "https:///x",
        " https://api.bfl.ai/x",
        "https://api.bfl.ai/\nx",
        "",
    ],
)
def test_nobody_else_gets_the_key(url: str) -> None:
    """No other host, no plain text, nothing that two readers may read differently."""
    assert not is_provider_url(url, TLS)


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("http://127.0.0.1:8091/x", True),
        ("http://other.example/x", True),
        ("https://127.0.0.1:8091/x", True),
        ("http://localhost:8091/x", False),
        ("http://api.bfl.ai/x", False),
        ("http://[::1]:8091/x", False),
    ],
)
def test_an_account_that_is_called_without_tls(url: str, may: bool) -> None:
    """Its own hosts may be called so too, at any port, and no others."""
    assert is_provider_url(url, PLAIN) is may
