"""Which addresses we may call; pure rules, used at intake and again at connect time."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network

#: Names that mean this machine or this network wherever they are resolved.
_LOCAL_NAMES = ("localhost", "local", "internal", "home.arpa", "localdomain")
_LONGEST_URL = 2083  # characters; the provider's own limit for URLs (BFL OpenAPI, webhook_url)


def is_allowed_address(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Say whether a socket may be opened to this IP address.

    Only globally routable unicast addresses are, and those in `allowed`. An IPv4 address wrapped
    in IPv6 counts as the IPv4 address it leads to.
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)
    if any(ip in network for network in allowed):
        return True
    return ip.is_global and not ip.is_multicast


def callback_url_problem(url: str, allowed: Sequence[Network] = ()) -> str | None:
    """Say what is wrong with a callback URL as it is written, or None.

    A host name is not resolved here: `worker.egress` checks every address again when it connects,
    which also holds against DNS rebinding.
    """
    if len(url) > _LONGEST_URL:
        return f"is {len(url)} characters long; at most {_LONGEST_URL} are allowed"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host:
        return "must be an http:// or https:// URL with a host"
    if parts.username or parts.password:
        return "must not hold a user name or password"
    return _host_problem(host, allowed)


def _host_problem(host: str, allowed: Sequence[Network]) -> str | None:
    try:
        fine = is_allowed_address(host, allowed)
    except ValueError:  # a name, not an address
        name = host.rstrip(".").lower()
        if any(name == local or name.endswith("." + local) for local in _LOCAL_NAMES):
            return f"names the local host or network ({host})"
        if name.replace(".", "").isdigit() or name.startswith("0x"):
            return f"has a host that is neither a name nor a usual address ({host})"
        return None
    return None if fine else f"leads to a private or reserved address ({host})"


def is_result_host(host: str, suffixes: Sequence[str]) -> bool:
    """Say whether the provider's results may be fetched from this host.

    A suffix that begins with a dot admits every host below it, any other only itself.
    """
    name = host.rstrip(".").lower()
    return any(
        name.endswith(suffix) if suffix.startswith(".") else name == suffix for suffix in suffixes
    )
