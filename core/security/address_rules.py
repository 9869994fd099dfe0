"""Which addresses we may call; pure rules, used at intake and again at connect time."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from core.security.host_names import ascii_name

Network = IPv4Network | IPv6Network

#: Names that mean this network wherever they are resolved, and those that mean this machine.
_NETWORK_NAMES = ("local", "internal", "home.arpa", "localdomain")
_MACHINE_NAMES = ("localhost",)
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
#: Every host below these is the provider's own.
PROVIDER_DOMAINS = (".bfl.ai",)
#: Where IPv6 addresses of the Internet lie (RFC 4291 section 2.4).
_IPV6_UNICAST = IPv6Network("2000::/3")
#: Where a network's NAT64 puts the IPv4 Internet (RFC 6052 section 2.1).
_NAT64 = IPv6Network("64:ff9b::/96")
#: Reserved by IANA, but global to some versions of `ipaddress`.
_RESERVED = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv6Network("3fff::/20"))
_LONGEST_URL = 2083  # characters; the provider's own limit for URLs (BFL OpenAPI, webhook_url)
_LONGEST_LINK = 16_384  # characters; a signed link with a session token has some thousands
_LONGEST_SHOWN = 100  # characters of a host that a message repeats
#: A host, and maybe a port, which every reader of URLs reads alike: nothing is left to decode.
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def is_allowed_address(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Say whether a socket may be opened to this IP address.

    Only globally routable unicast addresses are, and those in `allowed`. An IPv4 address wrapped
    in IPv6 counts as the IPv4 address it leads to.
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        ip = _unwrapped(ip)
    if any(ip in network for network in allowed):
        return True
    if ip.version == 6 and ip not in _IPV6_UNICAST:  # noqa: PLR2004 - the protocol's own number
        return False
    reserved = any(ip in network for network in _RESERVED)
    return ip.is_global and not ip.is_multicast and not reserved


def _unwrapped(ip: IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address leads to, itself where it leads to none."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)


def callback_url_problem(url: str, allowed: Sequence[Network] = ()) -> str | None:
    """Say what is wrong with a callback URL as it is written, or None.

    A host name is not resolved here: `worker.network.guarded_http` checks every address again when
    it connects, which also holds against DNS rebinding.
    """
    if len(url) > _LONGEST_URL:
        return f"is {len(url)} characters long; at most {_LONGEST_URL} are allowed"
    if not url.isprintable() or " " in url:
        return "contains a space, a control character or an unpaired surrogate"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host:
        return "must be an http:// or https:// URL with a host"
    if "@" in parts.netloc or port == 0:
        return f"must not hold {'port 0' if port == 0 else 'a user name or password'}"
    return _host_problem(host, parts.netloc.startswith("["), allowed)


def _host_problem(host: str, is_literal: bool, allowed: Sequence[Network]) -> str | None:
    if "%" in host:  # a zone, which means something on one machine only; or an escape
        return f"has a host with a % in it ({host})"
    try:
        fine = is_allowed_address(host, allowed)
    except ValueError:  # a name, not an address
        name = None if is_literal else ascii_name(host)
        if name is None:
            return f"has a host that is not a valid name ({host[:_LONGEST_SHOWN]})"
        name = name.rstrip(".")
        if _is_local(name, allowed):
            return f"names the local host or network ({host})"
        last = name.rpartition(".")[2]
        # Resolvers read such a host as an IPv4 address (WHATWG URL, "ends in a number").
        if last.isdigit() or last.startswith("0x"):
            return f"has a host that is neither a name nor a usual address ({host})"
        return None
    return None if fine else f"leads to a private or reserved address ({host})"


def _is_local(name: str, allowed: Sequence[Network]) -> bool:
    """Say whether a name leads inside, and no allowed network could hold its addresses.

    Where one could, the addresses decide when they are known, at connect time.
    """
    if _is_below(name, _MACHINE_NAMES):
        return not any(
            network.version == loopback.version and network.overlaps(loopback)
            for network in allowed
            for loopback in _LOOPBACK
        )
    return not allowed and _is_below(name, _NETWORK_NAMES)


def _is_below(name: str, tops: Sequence[str]) -> bool:
    return any(name == top or name.endswith("." + top) for top in tops)


def is_result_host(host: str, suffixes: Sequence[str]) -> bool:
    """Say whether the provider's results may be fetched from this host.

    A suffix that begins with a dot admits every host below it, any other only itself.
    """
    name = host.rstrip(".").lower()
    return any(
        name.endswith(suffix) if suffix.startswith(".") else name == suffix for suffix in suffixes
    )


def result_url_problem(url: str, suffixes: Sequence[str]) -> str | None:
    """Say why a result may not be fetched from this URL, or None where it may.

    What is said holds no part of the URL but its host, so it may be logged and shown. Clients and
    this function must read the same host from a URL, so one that is written oddly is refused.

    Args:
        url: As the provider named it, or as a redirect did.
        suffixes: Which hosts are allowed (`FLUXRELAY_RESULT_HOSTS`).
    """
    parts = _split(url)
    if parts is None:
        return "The result's link is not a URL"
    if parts.scheme not in ("http", "https"):
        return "The result's link is neither http:// nor https://"
    if "@" in parts.netloc:
        return "The result's link holds a user name or password, which is never used"
    host = parts.hostname or ""
    if not _AUTHORITY.fullmatch(parts.netloc) or parts.port == 0 or not _is_host(host):
        return "The result's link names no valid host"
    if is_result_host(host, suffixes):
        return None
    return f"The result is on a host that FLUXRELAY_RESULT_HOSTS does not allow: {host}"


def is_provider_url(url: str, own: Sequence[str]) -> bool:
    """Say whether an account's key may be sent to this URL, which the provider named.

    It may over https to the account's own hosts and to those below the provider's domains; without
    TLS only to the account's own hosts, and where the operator calls the account so as well.

    Args:
        url: As the provider named it.
        own: The account's API URL, and then its further ones.
    """
    parts = _split(url)
    if parts is None or not _AUTHORITY.fullmatch(parts.netloc) or parts.port == 0:
        return False
    host = (parts.hostname or "").rstrip(".").lower()
    known = [urlsplit(item) for item in own]
    plain = [item for item in known if "http" in (item.scheme, known[0].scheme)]
    hosts = {
        (item.hostname or "").rstrip(".") for item in (known if parts.scheme == "https" else plain)
    }
    if parts.scheme == "https" and _is_host(host) and is_result_host(host, PROVIDER_DOMAINS):
        return True
    return parts.scheme in ("http", "https") and host in hosts


def host_of(url: str) -> str:
    """Return a URL's host as it may be logged; empty where it cannot be told."""
    parts = _split(url)
    return (parts.hostname or "")[:_LONGEST_SHOWN] if parts else ""


def redirect_problem(first: str, url: str, suffixes: Sequence[str]) -> str | None:
    """Say why a redirect of a result may not be followed, or None where it may.

    Args:
        first: The URL that was asked for at first.
        url: Where the redirect leads to.
        suffixes: Which hosts are allowed (`FLUXRELAY_RESULT_HOSTS`).
    """
    if problem := result_url_problem(url, suffixes):
        return f"{problem} (a redirect leads there)"
    if urlsplit(first).scheme == "https" and urlsplit(url).scheme != "https":
        return "The result's link redirects from https:// to http://"
    return None


def _split(url: str) -> SplitResult | None:
    """Take a link apart, None where it is none."""
    # U+FFFD stands in Redis for what was no character when it came, so the link is not whole.
    broken = not url.isprintable() or "\ufffd" in url or url != url.strip()
    if len(url) > _LONGEST_LINK or broken:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError:
        return None
    return parts


def _is_host(host: str) -> bool:
    """Say whether a host of ASCII characters can be a name in the DNS, or an IPv6 address."""
    return ":" in host or ascii_name(host) is not None
