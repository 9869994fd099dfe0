"""Rules for the addresses that we may call; applied at intake and again at connect time."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from core.security.host_names import ascii_name

Network = IPv4Network | IPv6Network

#: Names of private networks (RFC 6762 appendix G, Kubernetes' `svc`), and of this machine, wherever
#: they are resolved. A name without a dot is one of a private network, too.
_NETWORK_NAMES = (
    *("local", "internal", "home.arpa", "localdomain", "svc"),
    *("intranet", "private", "corp", "home", "lan"),
)
_MACHINE_NAMES = ("localhost",)
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
#: Domains whose subdomains all belong to the provider.
PROVIDER_DOMAINS = (".bfl.ai",)
#: The IPv6 range of the Internet (RFC 4291 section 2.4).
_IPV6_UNICAST = IPv6Network("2000::/3")
#: The NAT64 prefix of the IPv4 Internet (RFC 6052 section 2.1).
_NAT64 = IPv6Network("64:ff9b::/96")
#: Reserved by IANA, but global according to some versions of `ipaddress`; and the address at which
#: Azure's platform serves each virtual machine.
_RESERVED = (
    *(IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv6Network("3fff::/20")),
    IPv4Network("168.63.129.16/32"),
)
_LONGEST_URL = 2083  # characters; the provider's own limit for URLs (BFL OpenAPI, webhook_url)
_LONGEST_LINK = 16_384  # characters; a signed link with a session token has some thousands
_LONGEST_SHOWN = 100  # characters of a host that a message repeats
#: A host with an optional port that every URL parser reads alike: nothing needs decoding.
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def is_allowed_address(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Return whether a socket may be opened to this IP address.

    Only globally routable unicast addresses are allowed, and those in `allowed`. An IPv4 address
    wrapped in IPv6 counts as that IPv4 address.
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
    """Return the IPv4 address embedded in an IPv6 address; the address itself if there is none."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)


def callback_url_problem(url: str, allowed: Sequence[Network] = ()) -> str | None:
    """Return what is wrong with a callback URL, or None.

    Host names are not resolved here: `worker.network.guarded_http` checks every address when it
    connects, which also protects against DNS rebinding.
    """
    if len(url) > _LONGEST_URL:
        return f"is {len(url)} characters long; at most {_LONGEST_URL} are allowed"
    if not url.isprintable() or " " in url:
        half = any("\ud800" <= character <= "\udfff" for character in url)
        found = "an unpaired surrogate, which is not valid Unicode"
        return f"contains {found if half else 'a space or a control character'}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host:
        return "must be an http:// or https:// URL with a host"
    if "@" in parts.netloc or port == 0:
        return f"must not contain {'port 0' if port == 0 else 'a user name or password'}"
    return _host_problem(host, parts.netloc.startswith("["), allowed)


def _host_problem(host: str, is_literal: bool, allowed: Sequence[Network]) -> str | None:
    if "%" in host:  # a zone id, valid on one machine only; or an escape
        return f"has a host that contains % ({host})"
    try:
        fine = is_allowed_address(host, allowed)
    except ValueError:  # a name, not an address
        name = None if is_literal else ascii_name(host)
        if name is None:
            return f"has a host that is not a valid name ({host[:_LONGEST_SHOWN]})"
        name = name.rstrip(".")
        last = name.rpartition(".")[2]
        # Resolvers read such a host as an IPv4 address (WHATWG URL, "ends in a number").
        if last.isdigit() or last.startswith("0x"):
            return f"has a host that is neither a name nor a standard address ({host})"
        if _is_local(name, allowed):
            return f"names the local host or network ({host})"
        return None
    return None if fine else f"leads to a private or reserved address ({host})"


def _is_local(name: str, allowed: Sequence[Network]) -> bool:
    """Return whether a name is local and no allowed network could contain its addresses.

    If one could, the addresses decide at connect time.
    """
    if _is_below(name, _MACHINE_NAMES):
        return not any(
            network.version == loopback.version and network.overlaps(loopback)
            for network in allowed
            for loopback in _LOOPBACK
        )
    return not allowed and ("." not in name or _is_below(name, _NETWORK_NAMES))


def _is_below(name: str, tops: Sequence[str]) -> bool:
    return any(name == top or name.endswith("." + top) for top in tops)


def is_result_host(host: str, suffixes: Sequence[str]) -> bool:
    """Return whether results may be fetched from this host.

    A suffix that starts with a dot allows every host below it; any other allows only itself.
    """
    name = host.rstrip(".").lower()
    return any(
        name.endswith(suffix) if suffix.startswith(".") else name == suffix for suffix in suffixes
    )


def result_url_problem(url: str, suffixes: Sequence[str]) -> str | None:
    """Return why a result may not be fetched from this URL, or None.

    The message contains no part of the URL but its host, so it may be logged and shown. HTTP
    clients and this function must read the same host from a URL, so unusual spellings are rejected.

    Args:
        url: From the provider or from a redirect.
        suffixes: Allowed hosts (`FLUXRELAY_RESULT_HOSTS`).
    """
    parts = _split(url)
    if parts is None:
        return "The result's link is not a URL"
    if parts.scheme not in ("http", "https"):
        return "The result's link is neither http:// nor https://"
    if "@" in parts.netloc:
        return "The result's link contains a user name or password, which is not allowed"
    host = parts.hostname or ""
    if not _AUTHORITY.fullmatch(parts.netloc) or parts.port == 0 or not _is_host(host):
        return "The result's link has no valid host"
    if is_result_host(host, suffixes):
        return None
    return f"The result is on a host that FLUXRELAY_RESULT_HOSTS does not allow: {host}"


def is_provider_url(url: str, own: Sequence[str]) -> bool:
    """Return whether an account's API key may be sent to this URL, which the provider named.

    Over https it may be sent to the account's own hosts and to subdomains of the provider's
    domains; over http only to the account's own hosts, and only if the operator configured http for
    the account.

    Args:
        url: From the provider.
        own: The account's API URL, followed by its further URLs.
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
    """Return a URL's host for logs; empty if unknown."""
    parts = _split(url)
    return (parts.hostname or "")[:_LONGEST_SHOWN] if parts else ""


def redirect_problem(first: str, url: str, suffixes: Sequence[str]) -> str | None:
    """Return why a redirect of a result may not be followed, or None.

    Args:
        first: The URL of the first request.
        url: The redirect's target.
        suffixes: Allowed hosts (`FLUXRELAY_RESULT_HOSTS`).
    """
    if problem := result_url_problem(url, suffixes):
        return f"{problem} (a redirect leads there)"
    if urlsplit(first).scheme == "https" and urlsplit(url).scheme != "https":
        return "The result's link redirects from https:// to http://"
    return None


def _split(url: str) -> SplitResult | None:
    """Parse a link; None if it is invalid."""
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
    """Return whether an ASCII host can be a DNS name or an IPv6 address."""
    return ":" in host or ascii_name(host) is not None
