"""Host names are read as the client that will call them reads them."""

import httpx
import pytest

from core.security.address_rules import callback_url_problem
from core.security.host_names import ascii_name

CALLABLE = {
    "example.com": "example.com",
    "EXAMPLE.com.": "example.com.",
    "a_b.example": "a_b.example",
    "_dmarc.example": "_dmarc.example",
    "1a.2b": "1a.2b",
    "ab--cd.example": "ab--cd.example",
    "bücher.example": "xn--bcher-kva.example",
    "BÜCHER.example": "xn--bcher-kva.example",
    "faß.example": "xn--fa-hia.example",
    "xn--bcher-kva.example": "xn--bcher-kva.example",
    "XN--BCHER-KVA.example": "xn--bcher-kva.example",
    "例え.テスト": "xn--r8jz45g.xn--zckzah",
    "a" * 63 + ".example": "a" * 63 + ".example",
    ".".join(["a" * 49] * 5) + ".abc": ".".join(["a" * 49] * 5) + ".abc",
}
NO_NAMES = [
    "",
    ".",
    "a..b",
    ".example.com",
    "example.com..",
    "a" * 64 + ".example",
    ".".join(["a" * 49] * 5) + ".abcd",
    "ü" * 60 + ".example",
    "-a.example",
    "a-.example",
    "a b.example",
    "a<b.example",
    "a|b.example",
    "a%41.example",
    "a,b.example",
    "*.example",
    "a~b.example",
    "a:b",
    "[v1.x]",
    "☃.net",
    "xn--n3h.net",
    "xn--a.example",
    "www.xn--a.example",
    "xn--.example",
    "xn--example",
    "\uff41.example",
    "a\u200d.example",
]


@pytest.mark.parametrize("host", CALLABLE)
def test_a_name_is_what_the_client_looks_up(host: str) -> None:
    """A name that is taken is, letter for letter, what httpx hands to the resolver."""
    url = httpx.URL(f"https://{host}/hook")

    assert ascii_name(host) == CALLABLE[host] == url.raw_host.decode()
    assert url.host  # which decodes it again
    CALLABLE[host].encode("idna")  # as the resolver's library does
    assert callback_url_problem(f"https://{host}/hook") is None


@pytest.mark.parametrize("host", NO_NAMES)
def test_what_no_client_can_call_is_no_name(host: str) -> None:
    """A host that the client or the resolver cannot read, or reads differently, is refused."""
    assert ascii_name(host) is None
    assert callback_url_problem(f"https://{host}/hook") is not None
