"""The origin that a request was sent to, for links that its client can follow.

A proxy in front changes what we see, and says so in headers that anybody can send. They are
believed only where `FLUXRELAY_TRUSTED_PROXIES` names whoever opened the connection.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request

from core.security.address_rules import Network

#: A path below which everything is: no empty segment, no query, nothing that could leave a link.
_PREFIX: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+;=:@-]+)+/?")
_LONGEST_PREFIX: Final = 256  # characters
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
#: Characters of `Forwarded` that are read; a longer one says nothing.
_LONGEST_FORWARDED: Final = 4096
#: RFC 7239 section 4: token "=" ( token / quoted-string ), or what is none, up to its separator.
#: Nothing is tried twice, for its text is a stranger's.
_PAIR: Final = re.compile(
    r'\s*+(?:([\w!#$%&\'*+.^`|~-]++)=("(?:[^"\\]|\\.)*+"|[^\s;,"]*+)\s*+(?=[;,]|\Z)|[^;,"]*+)'
    r"([;,]|\Z)"
)


@dataclass(frozen=True, slots=True)
class _Hop:
    """What one proxy says of whoever called it."""

    client: str = ""
    host: str = ""
    scheme: str = ""
    #: The path below which the proxy offers us.
    prefix: str = ""


def origin_of(
    request: Request[Any], proxies: Sequence[Network], public_url: str | None = None
) -> str:
    """Return `scheme://host[:port]` and the path that we are below, without a slash at the end.

    Args:
        request: Whose.
        proxies: Whose forwarded headers are believed.
        public_url: Where we are reached; its path counts where no proxy tells of one.
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
    """Return the path that we are below, such as `/relay`; empty where there is none.

    Args:
        request: Whose.
        proxies: Whose `X-Forwarded-Prefix` is believed.
        public_url: Where we are reached; its path counts where no proxy tells of one.
    """
    return (_told(request, proxies).prefix if proxies else "") or _path_of(public_url)


def job_path(request: Request[Any], job_id: str) -> str:
    """Return the path of a job as its caller reaches it, for `Location`."""
    settings = request.state["settings"]
    prefix = prefix_of(request, settings.trusted_proxies, settings.public_url)
    return f"{prefix}/v1/jobs/{job_id}"


def _told(request: Request[Any], proxies: Sequence[Network]) -> _Hop:
    """Return what trusted proxies say of the request."""
    scheme = host = prefix = ""
    peer = request.client.host if request.client else ""
    hops = _hops(request)  # which reads nothing before it is asked
    while _is_trusted(peer, proxies) and (hop := next(hops, None)):
        # The outermost trusted proxy is the one that the client called, so it has the last word.
        scheme, host, peer = hop.scheme or scheme, hop.host or host, hop.client
        prefix = hop.prefix or prefix
    return _Hop(peer, host, scheme, prefix)


def _path_of(public_url: str | None) -> str:
    return _prefix(urlsplit(public_url).path) if public_url else ""


def _prefix(text: str) -> str:
    """Return a path without the slash at its end; empty where it may not stand in a link."""
    usable = len(text) <= _LONGEST_PREFIX and _PREFIX.fullmatch(text)
    return text.rstrip("/") if usable else ""


def _hops(request: Request[Any]) -> Iterator[_Hop]:
    """Yield what proxies say, nearest first: RFC 7239 where it comes, else the X- headers."""
    forwarded = ",".join(request.headers.getlist("forwarded"))
    prefixes = _values(request, "x-forwarded-prefix")  # RFC 7239 has no word for it
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
    """Read a header; empty where a quote is left open, for nobody knows what it swallowed."""
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
    """Return a node's address without its port and brackets (RFC 7239 section 6)."""
    if node.startswith("["):
        return node[1:].partition("]")[0]
    return node.partition(":")[0] if node.count(":") == 1 else node


def _is_trusted(address: str, proxies: Sequence[Network]) -> bool:
    try:
        ip = ip_address(address)
    except ValueError:  # a name, "unknown", or a node in disguise
        return False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip in network for network in proxies)
