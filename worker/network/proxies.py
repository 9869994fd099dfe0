"""The way out: direct, or through a proxy of the operator's.

Through a proxy it is the proxy that looks names up, so no address can be checked here; what a URL
itself says can, and is.
"""

import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from urllib.request import getproxies_environment, proxy_bypass

import httpx

from core.security.address_rules import Network, callback_url_problem
from core.text_values import ENVIRONMENT, Secret

#: Makes a transport, direct or through a proxy.
Make = Callable[[httpx.Proxy | None], httpx.BaseTransport]


class AddressRefused(httpx.ConnectError):
    """Every address of the host is private or reserved."""


def way_out(proxy: Secret | None, make: Make, ssl_context: ssl.SSLContext) -> httpx.BaseTransport:
    """Return what requests go through.

    Args:
        proxy: The proxy's URL, or `environment` for what HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and
            NO_PROXY say now; None is the direct way.
        make: Makes a transport.
        ssl_context: For a proxy that is itself spoken to by TLS.
    """
    if proxy is None:
        return make(None)
    if proxy.reveal() != ENVIRONMENT:
        return _Proxied(make(_proxy(proxy.reveal(), ssl_context)))
    named = environment_proxies()
    ways = {url: _Proxied(make(_proxy(url, ssl_context))) for url in set(named.values())}
    return _ByEnvironment(make(None), {scheme: ways[url] for scheme, url in named.items()})


def environment_proxies() -> dict[str, str]:
    """Return the proxies that the environment names, by the scheme of what is called."""
    found = getproxies_environment()
    every = found.get("all")
    named = {scheme: found.get(scheme) or every for scheme in ("http", "https")}
    return {scheme: _with_scheme(url) for scheme, url in named.items() if url}


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"http://{url}"


def _proxy(url: str, ssl_context: ssl.SSLContext) -> httpx.Proxy:
    return httpx.Proxy(url, ssl_context=ssl_context if url.startswith("https:") else None)


class Checked(httpx.BaseTransport):
    """Refuses a request whose URL itself leads to a private or reserved address.

    Args:
        below: What sends the others.
        allowed: Networks that may be called although they are private.
        trusted: Hosts that may be called in any case.
    """

    def __init__(
        self, below: httpx.BaseTransport, allowed: Sequence[Network], trusted: Iterable[str]
    ) -> None:
        self._below = below
        self._allowed = allowed
        self._trusted = frozenset(trusted)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, or refuse it."""
        host = request.url.raw_host.decode("ascii")
        origin = f"http://[{host}]" if ":" in host else f"http://{host}"
        # A network that is allowed admits its addresses, but no local name: nobody checks later
        # where that leads, and the proxy might take it for its own machine.
        allowed = self._allowed if _is_address(host) else ()
        if host not in self._trusted and callback_url_problem(origin, allowed):
            raise AddressRefused(f"{host} is a private or reserved address, or no name")
        return self._below.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._below.close()


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class _Proxied(httpx.BaseTransport):
    """Sends through a proxy; what the proxy itself refuses is an error, and nobody's answer."""

    def __init__(self, below: httpx.BaseTransport) -> None:
        self._below = below

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._below.handle_request(request)
        if response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
            response.close()
            raise httpx.ProxyError("407 the proxy wants to know who we are", request=request)
        return response

    def close(self) -> None:
        self._below.close()


class _ByEnvironment(httpx.BaseTransport):
    """Chooses for each request, as the environment's variables say."""

    def __init__(
        self, direct: httpx.BaseTransport, proxied: Mapping[str, httpx.BaseTransport]
    ) -> None:
        self._direct = direct
        self._proxied = proxied

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        way = self._proxied.get(request.url.scheme)
        if way is None or proxy_bypass(request.url.netloc.decode("ascii")):
            way = self._direct
        return way.handle_request(request)

    def close(self) -> None:
        for way in (self._direct, *self._proxied.values()):
            way.close()
