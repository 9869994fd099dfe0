"""Which links of results may be called, and what is said of those that may not."""

import pytest

from core.security.address_rules import redirect_problem, result_url_problem

HOSTS = (".bfl.ai", "127.0.0.1", "::1")


@pytest.mark.parametrize(
    "url",
    [
        "https://delivery.bfl.ai/a/b.jpeg?se=2026-01-01T00%3A00%3A00Z&sig=a%2Bb%3D",
        "HTTPS://Delivery.BFL.ai/x",
        "https://delivery.bfl.ai./x",
        "https://delivery.bfl.ai:8443/x",
        "http://127.0.0.1:8080/x",
        "http://[::1]:8080/x",
        "https://delivery.bfl.ai/x?to=https://evil.example/@",
        "https://delivery.bfl.ai/x#@evil.example",
        "https://delivery.bfl.ai/caf\u00e9 1.png",
    ],
)
def test_links_on_allowed_hosts_may_be_fetched(url: str) -> None:
    """Whatever its path and query hold, the host alone decides."""
    assert result_url_problem(url, HOSTS) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pass@delivery.bfl.ai/x",
        "https://user@delivery.bfl.ai/x",
        "https://@delivery.bfl.ai/x",
        "https://delivery.bfl.ai@evil.example/x",
        "https://evil.example\\@delivery.bfl.ai/x",
    ],
)
def test_links_with_credentials_are_refused(url: str) -> None:
    """They are neither used nor told, whichever host they are for."""
    problem = result_url_problem(url, HOSTS)

    assert problem == "The result's link contains a user name or password, which is not allowed"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://evil.example/secret?sig=secret", "evil.example"),
        ("https://bfl.ai/secret", "bfl.ai"),
        ("https://delivery.bfl.ai.evil.example/secret", "delivery.bfl.ai.evil.example"),
        ("https://127.0.0.1.evil.example/secret", "127.0.0.1.evil.example"),
        ("http://169.254.169.254/secret", "169.254.169.254"),
        ("https://evil.example?secret@delivery.bfl.ai/", "evil.example"),
        ("https://evil.example#secret@delivery.bfl.ai/", "evil.example"),
    ],
)
def test_links_on_other_hosts_are_refused(url: str, host: str) -> None:
    """The reason names the host and the setting, and nothing else of the link."""
    problem = result_url_problem(url, HOSTS) or ""

    assert problem.endswith(f": {host}")
    assert "FLUXRELAY_RESULT_HOSTS" in problem
    assert "secret" not in problem


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no link",
        "/x",
        "//delivery.bfl.ai/x",
        "https:",
        "https:///x",
        "https:/delivery.bfl.ai/x",
        "ftp://delivery.bfl.ai/x",
        "file:///etc/passwd",
        "javascript:secret",
        "data:image/png;base64,secret",
        " https://delivery.bfl.ai/x",
        "https://delivery.bfl.ai/x\n",
        "https://delivery.bfl.ai/x\r\nhost: secret",
        "https://deliv\tery.bfl.ai/x",
        "https://delivery.bfl.ai/\0",
        "https://delivery.bfl.ai/\ud800",
        "https://delivery.bfl.ai/\ufffd.png",
        "https://delivery.bfl.ai/x?sig=\ufffd",
        "https://delivery.bfl.ai:0/x",
        "https://delivery.bfl.ai:65536/x",
        "https://delivery.bfl.ai:secret/x",
        "https://delivery.bfl.ai:/x",
        "https://delivery..bfl.ai/x",
        "https://.bfl.ai/x",
        "https://delivery.bfl.ai../x",
        "https://evil.example\\.bfl.ai/x",
        "https://evil.example%2f.bfl.ai/x",
        "https://evil.example%23.bfl.ai/x",
        "https://delivery bfl.ai/x",
        "https://evil\uff0eexample.bfl.ai/x",
        "https://delivery\u3002bfl.ai/x",
        "https://xn--a.bfl.ai/x",
        f"https://{'a' * 64}.bfl.ai/x",
        f"https://{'a.' * 130}bfl.ai/x",
        "https://[::1/x",
        "https://[delivery.bfl.ai]/x",
        f"https://delivery.bfl.ai/{'x' * 20_000}",
    ],
)
def test_what_is_no_link_is_refused(url: str) -> None:
    """Nothing that two readers could understand in two ways is called, and none of it is told."""
    problem = result_url_problem(url, HOSTS)

    assert problem is not None
    assert problem.startswith("The result's link ")
    assert "secret" not in problem
    assert "bfl.ai" not in problem


@pytest.mark.parametrize(
    ("first", "place", "fine"),
    [
        ("https://a.bfl.ai/1", "https://b.bfl.ai/2", True),
        ("http://a.bfl.ai/1", "https://a.bfl.ai/2", True),
        ("http://a.bfl.ai/1", "http://a.bfl.ai/2", True),
        ("https://a.bfl.ai/1", "http://a.bfl.ai/1", False),
        ("HTTPS://a.bfl.ai/1", "HTTP://a.bfl.ai/1", False),
        ("https://a.bfl.ai/1", "https://bfl.ai.example/2", False),
    ],
)
def test_where_a_redirect_may_lead(first: str, place: str, *, fine: bool) -> None:
    """To an allowed host, and from https:// to https:// only."""
    problem = redirect_problem(first, place, [".bfl.ai"])

    assert (problem is None) is fine
    assert "redirect" in (problem or "redirect")
