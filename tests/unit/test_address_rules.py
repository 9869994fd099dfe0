"""Which addresses may be called."""

from ipaddress import ip_network

import pytest

from core.security.address_rules import callback_url_problem, is_allowed_address, is_result_host

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.15.255.255",
    "172.32.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "2002:808:808::1",
    "64:ff9b::808:808",
]
PRIVATE = [
    "0.0.0.0",  # noqa: S104 - the address to refuse, nothing is bound
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::1%1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:0",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001:db8::1",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "4000::1",
    "fc00::1",
    "fd00:ec2::254",
    "168.63.129.16",
    "::ffff:168.63.129.16",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    """A globally routable unicast address is allowed, however it is wrapped."""
    assert is_allowed_address(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_and_reserved_addresses_may_not(address: str) -> None:
    """Whatever leads into a machine or a network, or nowhere, is refused, however wrapped."""
    assert not is_allowed_address(address)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
        ("2002:a01:203::1", "10.0.0.0/8"),
        ("64:ff9b::a01:203", "10.0.0.0/8"),
        ("fd00::1", "fd00::/8"),
        ("127.0.0.1", "127.0.0.1/32"),
    ],
)
def test_the_operator_may_allow_networks(address: str, network: str) -> None:
    """An address in an allowed network passes although it is private; its neighbour does not."""
    assert is_allowed_address(address, [ip_network(network)])
    assert not is_allowed_address("192.168.0.1", [ip_network(network)])


@pytest.mark.parametrize("address", ["", "example.com", "1.2.3", "0x7f.1", "01.2.3.4", "::g"])
def test_what_is_no_address_is_an_error(address: str) -> None:
    """A name is no address: the question is refused and not answered."""
    with pytest.raises(ValueError, match="not appear to be"):
        is_allowed_address(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://example.com:8080/hook?x=1#y",
        "HTTPS://EXAMPLE.COM/",
        "https://example.com./",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]:8443/",
        "https://localhost.example.com/",
        "https://0x.example.com/",
        "https://123.example.com/",
        "https://bücher.example/",
    ],
)
def test_usable_callback_urls(url: str) -> None:
    """A URL with a public address or any public name is taken."""
    assert callback_url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "http:// or https://"),
        ("example.com/hook", "http:// or https://"),
        ("ftp://example.com/", "http:// or https://"),
        ("file:///etc/passwd", "http:// or https://"),
        ("https:///hook", "with a host"),
        ("https://:443/", "with a host"),
        ("https://example.com:99999/", "not a URL"),
        ("https://example.com:http/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://user@example.com/", "user name"),
        ("https://:password@example.com/", "password"),
        ("https://example.com@127.0.0.1/", "user name"),
        ("http://localhost/", "local host"),
        ("http://LOCALHOST./", "local host"),
        ("http://api.localhost/", "local host"),
        ("http://printer.local/", "local host"),
        ("http://metadata.google.internal/", "local host"),
        ("http://router.home.arpa/", "local host"),
        ("http://redis:6379/", "local host"),
        ("http://redis./", "local host"),
        ("http://kubernetes.default.svc/", "local host"),
        ("http://nas.lan/", "local host"),
        ("http://wiki.corp/", "local host"),
        ("http://127.0.0.1/", "private or reserved"),
        ("http://127.0.0.1./", "neither a name"),
        ("http://127.1/", "neither a name"),
        ("http://2130706433/", "neither a name"),
        ("http://0x7f000001/", "neither a name"),
        ("http://0X7F.0.0.1/", "neither a name"),
        ("http://127.0.0.0x1/", "neither a name"),
        ("http://0177.0.0.1/", "neither a name"),
        ("http://017700000001/", "neither a name"),
        ("http://169.254.169.254/latest/meta-data", "private or reserved"),
        ("http://[::1]/", "private or reserved"),
        ("http://[::ffff:7f00:1]/", "private or reserved"),
        ("http://[fe80::1%25eth0]/", "contains %"),
        ("http://[2606:4700::1111%25eth0]/", "contains %"),
        ("https://example.com:0/", "port 0"),
        ("https://1.1.1.1:00/", "port 0"),
        ("https://@example.com/", "user name"),
        ("https://[v1.x]/", "not a valid name"),
        ("https://a..b/x", "not a valid name"),
        ("https://xn--a.example/", "not a valid name"),
        ("http://xn--n3h.net/x", "not a valid name"),
        ("http://[64:ff9b::7f00:1]/", "private or reserved"),
        ("https://example.com/" + "x" * 2064, "2084 characters"),
    ],
)
def test_unusable_callback_urls(url: str, words: str) -> None:
    """A URL that leads inside, hides where it leads or is none is refused, with the reason."""
    assert words in str(callback_url_problem(url))


def test_the_longest_url_is_taken() -> None:
    """A URL of exactly the longest length is taken."""
    assert callback_url_problem("https://example.com/" + "x" * 2063) is None


def test_allowed_networks_count_at_intake_too() -> None:
    """A private address in a callback URL passes where the operator allows its network."""
    allowed = [ip_network("127.0.0.0/8")]

    assert callback_url_problem("http://127.0.0.1:9000/hook", allowed) is None
    assert callback_url_problem("http://10.0.0.1/hook", allowed) is not None


@pytest.mark.parametrize(
    ("host", "network", "passes"),
    [
        ("hooks.team.svc.cluster.local", "10.0.0.0/8", True),
        ("host.docker.internal", "192.168.65.0/24", True),
        ("router.home.arpa.", "fd00::/8", True),
        ("LOCALHOST", "127.0.0.0/8", True),
        ("api.localhost", "127.0.0.1/32", True),
        ("localhost", "::1/128", True),
        ("localhost", "0.0.0.0/0", True),
        ("receiver", "172.16.0.0/12", True),
        ("hooks.team.svc", "10.0.0.0/8", True),
        ("localhost", "10.0.0.0/8", False),
        ("api.localhost.", "fd00::/8", False),
    ],
)
def test_local_names_pass_where_an_allowed_network_may_hold_them(
    host: str, network: str, passes: bool
) -> None:
    """A local name is left to the check of its addresses, `localhost` only if loopback is in."""
    problem = callback_url_problem(f"http://{host}/hook", [ip_network(network)])

    assert (problem is None) == passes


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("delivery-eu1.bfl.ai", True),
        ("DELIVERY.BFL.AI.", True),
        ("bfl.ai", False),
        ("evilbfl.ai", False),
        ("bfl.ai.evil.example", False),
        ("127.0.0.1", True),
        ("1.127.0.0.1", False),
        ("", False),
    ],
)
def test_result_hosts(host: str, *, is_one: bool) -> None:
    """A suffix with a dot admits what lies below it, any other only itself."""
    assert is_result_host(host, (".bfl.ai", "127.0.0.1")) is is_one
