"""The proxy variables of the environment, as Python's `urllib` and the AWS SDK read them.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in capitals or not; lower case takes precedence.
"""

import os
import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Final
from urllib.request import getproxies_environment

from core.security.address_rules import Network
from core.security.host_names import ascii_name

_SUFFIX: Final = "_proxy"
_PORT: Final = re.compile(r":\d{1,5}$")


def environment_proxies(*, fallback: bool = True) -> dict[str, tuple[str, str]]:
    """Return the variable and the proxy's URL, by the scheme of the requested URL.

    Args:
        fallback: Whether ALL_PROXY counts where no other does; the AWS SDK passes over it.
    """
    found = {}
    for scheme in ("http", "https"):
        variable, url = _counting(scheme)
        if not url and fallback:
            variable, url = _counting("all")
        if url:
            found[scheme] = (variable, url if "://" in url else f"http://{url}")
    return found


def direct_networks() -> list[Network]:
    """Return the addresses and networks in NO_PROXY, which `urllib` does not understand."""
    found = []
    for entry in _entries():
        try:
            found.append(ip_network(entry))
        except ValueError:
            continue
    return found


def no_proxy_problems() -> list[str]:
    """Return which entries of NO_PROXY nobody would understand, one line each."""
    variable, value = _counting("no")
    if value.strip() == "*":
        return []
    return [
        f"{variable}: entry {number} is no host, .domain, address or network; * counts alone only"
        for number, entry in enumerate(_entries(), start=1)
        if entry and not _is_readable(entry)
    ]


def _is_readable(entry: str) -> bool:
    try:
        ip_network(entry)
    except ValueError:
        name = _PORT.sub("", entry).removeprefix(".")
        return "/" not in name and ascii_name(name) is not None
    return True


def _entries() -> Iterator[str]:
    for entry in _counting("no")[1].split(","):
        yield entry.strip().removeprefix("[").removesuffix("]")


def _counting(kind: str) -> tuple[str, str]:
    """Return the variable that counts for a kind of proxy, and its value."""
    value = getproxies_environment().get(kind, "")
    lower = kind + _SUFFIX
    named = [name for name in os.environ if name.lower() == lower and os.environ[name] == value]
    return next((name for name in (lower, *named) if name in os.environ and value), ""), value
