"""Determines the public origin of a request, for links that its client can follow.

A proxy reports it in headers that anyone can send. They are trusted only if
`FLUXRELAY_TRUSTED_PROXIES` contains the peer of the connection.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request

from core.security.address_rules import Network

#: A path prefix: no empty or dot segments, no query, nothing that could break out of a link.
_PREFIX: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+;=:@-]+)+/?")
_LONGEST_PREFIX: Final = 256  # characters
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
#: Longest `Forwarded` that is parsed; a longer one is ignored.
_LONGEST_FORWARDED: Final = 4096
#: RFC 7239 section 4: token "=" ( token / quoted-string ), or anything else up to its separator.
#: Possessive quantifiers: strangers send this text, so it must not backtrack.
_PAIR: Final = re.compile(
    r'\s*+(?:([\w!#$%&\'*+.^`|~-]++)=("(?:[^"\\]|\\.)*+"|[^\s;,"]*+)\s*+(?=[;,]|\Z)|[^;,"]*+)'
    r"([;,]|\Z)"
)


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy reports about its client."""

    client: str = ""
    host: str = ""
    scheme: str = ""
    #: The path prefix under which the proxy exposes us.
    prefix: str = ""


def origin_of(
    request: Request[Any], proxies: Sequence[Network], public_url: str | None = None
) -> str:
    """Return `scheme://host[:port]` plus our path prefix, without trailing slash.

    Args:
        request: The request.
        proxies: Networks whose forwarded headers are trusted.
        public_url: Our public URL; its path is used if no proxy reports a prefix.
    """
    told = _told(request, proxies)
    scheme = told.scheme or request.url.scheme
    host = told.host or request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        name, port = request.scope.get("server") or ("localhost", None)
        host = f"[{name}]" if ":" in name else name
        host = f"{host}:{port}" if port else host
    return f"{scheme}://{host}{told.prefix or _path_of(public_url)}"


def prefix_of(
    request: Request[Any], proxies: Sequence[Network], public_url: str | None = None
) -> str:
    """Return our path prefix, such as `/relay`; empty if there is none.

    Args:
        request: The request.
        proxies: Networks whose `X-Forwarded-Prefix` is trusted.
        public_url: Our public URL; its path is used if no proxy reports a prefix.
    """
    return (_told(request, proxies).prefix if proxies else "") or _path_of(public_url)


def job_path(request: Request[Any], job_id: str) -> str:
    """Return the path of a job as its caller reaches it, for `Location`."""
    return _native_path(request, f"/v1/jobs/{job_id}")


def batch_path(request: Request[Any], batch_id: str) -> str:
    """Return the path of a batch as its caller reaches it, for `Location`."""
    return _native_path(request, f"/v1/batches/{batch_id}")


def _native_path(request: Request[Any], path: str) -> str:
    settings = request.state["settings"]
    return prefix_of(request, settings.trusted_proxies, settings.public_url) + path


def _told(request: Request[Any], proxies: Sequence[Network]) -> _Hop:
    """Return what trusted proxies report about the request."""
    scheme = host = prefix = ""
    peer = request.client.host if request.client else ""
    hops = _hops(request)  # lazy
    while _is_trusted(peer, proxies) and (hop := next(hops, None)):
        # The outermost trusted proxy is the one that the client called, so its values win.
        scheme, host, peer = hop.scheme or scheme, hop.host or host, hop.client
        prefix = hop.prefix or prefix
    return _Hop(peer, host, scheme, prefix)


def _path_of(public_url: str | None) -> str:
    return _prefix(urlsplit(public_url).path) if public_url else ""


def _prefix(text: str) -> str:
    """Return a path without trailing slash; empty if it is unsafe in a link."""
    usable = len(text) <= _LONGEST_PREFIX and _PREFIX.fullmatch(text)
    return text.rstrip("/") if usable else ""


def _hops(request: Request[Any]) -> Iterator[_Hop]:
    """Yield what proxies report, nearest first: RFC 7239 if present, else the X- headers."""
    forwarded = ",".join(request.headers.getlist("forwarded"))
    prefixes = _values(request, "x-forwarded-prefix")  # RFC 7239 has no equivalent
    if forwarded:
        hops = _read(forwarded) if len(forwarded) <= _LONGEST_FORWARDED else []
        for number, hop in enumerate(reversed(hops)):
            yield replace(hop, prefix=_prefix(_from_right(prefixes, number)))
        return
    names = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto")
    clients, hosts, schemes = (_values(request, name) for name in names)
    for number in range(max(len(clients), len(hosts), len(schemes), len(prefixes))):
        yield _Hop(
            _address(_from_right(clients, number)),
            _from_right(hosts, number),
            _scheme(_from_right(schemes, number)),
            _prefix(_from_right(prefixes, number)),
        )


def _values(request: Request[Any], name: str) -> list[str]:
    texts = ",".join(request.headers.getlist(name)).split(",")
    return [text.strip() for text in texts if text.strip()]


def _from_right(values: Sequence[str], number: int) -> str:
    return values[-1 - number] if number < len(values) else ""


def _read(forwarded: str) -> list[_Hop]:
    """Parse a header; empty if a quote is left open, because its extent is unknown."""
    hops: list[_Hop] = []
    pairs: dict[str, str] = {}
    start = at = 0
    while match := _PAIR.match(forwarded, at):
        name, value, separator = match.groups()
        at = match.end()
        if name:
            quoted = value.startswith('"')
            pairs[name.lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if quoted else value
        if separator == ";":
            continue
        if forwarded[start : match.start(3)].strip():
            hops.append(_hop(pairs))
        if not separator:
            return hops
        pairs, start = {}, at
    return []


def _hop(pairs: Mapping[str, str]) -> _Hop:
    proto = _scheme(pairs.get("proto", ""))
    return _Hop(_address(pairs.get("for", "")), pairs.get("host", ""), proto)


def _scheme(text: str) -> str:
    return text.lower() if text.lower() in ("http", "https") else ""


def _address(node: str) -> str:
    """Return a node's address without port and brackets (RFC 7239 section 6)."""
    if node.startswith("["):
        return node[1:].partition("]")[0]
    return node.partition(":")[0] if node.count(":") == 1 else node


def _is_trusted(address: str, proxies: Sequence[Network]) -> bool:
    try:
        ip = ip_address(address)
    except ValueError:  # a name, "unknown", or an obfuscated node
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip in network for network in proxies)
