"""Routes requests directly or through the operator's proxy.

A proxy resolves names itself, so resolved addresses cannot be checked here; addresses written in a
URL can, and are.
"""

import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from urllib.request import proxy_bypass

import httpx

from core.credentials import ENVIRONMENT
from core.security.address_rules import Network, callback_url_problem
from core.security.proxy_variables import direct_networks, environment_proxies
from core.text_values import Secret

#: Creates a transport, direct or through a proxy.
Make = Callable[[httpx.Proxy | None], httpx.BaseTransport]


class AddressRefused(httpx.ConnectError):
    """Every address of the host is private or reserved."""


def transport_through(
    proxy: Secret | None, make: Make, ssl_context: ssl.SSLContext
) -> httpx.BaseTransport:
    """Return the transport for requests.

    Args:
        proxy: The proxy's URL, or `environment` for the current values of HTTPS_PROXY, HTTP_PROXY,
            ALL_PROXY and NO_PROXY; None: no proxy.
        make: Creates a transport.
        ssl_context: For TLS to the proxy itself.
    """
    if proxy is None:
        return make(None)
    if proxy.reveal() != ENVIRONMENT:
        return _Proxied(make(_proxy(proxy.reveal(), ssl_context)))
    named = {scheme: url for scheme, (_, url) in environment_proxies().items()}
    ways = {url: _Proxied(make(_proxy(url, ssl_context))) for url in set(named.values())}
    return _EnvironmentProxies(make(None), {scheme: ways[url] for scheme, url in named.items()})


def _proxy(url: str, ssl_context: ssl.SSLContext) -> httpx.Proxy:
    return httpx.Proxy(url, ssl_context=ssl_context if url.startswith("https:") else None)


class AddressCheck(httpx.BaseTransport):
    """Refuses requests whose URL itself names a private or reserved address.

    Args:
        below: Sends the allowed requests.
        allowed: Private networks that may be called.
        trusted: Hosts that may always be called.
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
        # An allowed network allows its addresses, but no local names: nothing checks later what a
        # name resolves to, and the proxy may take it for its own machine.
        allowed = self._allowed if _is_address(host) else ()
        if host not in self._trusted and callback_url_problem(origin, allowed):
            raise AddressRefused(
                f"{host} is a private or reserved address, or not a valid host name"
            )
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
    """Sends through a proxy; an answer of the proxy itself is raised as an error."""

    def __init__(self, below: httpx.BaseTransport) -> None:
        self._below = below

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._below.handle_request(request)
        if response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
            response.close()
            raise httpx.ProxyError("407 the proxy asks for authentication", request=request)
        return response

    def close(self) -> None:
        self._below.close()


class _EnvironmentProxies(httpx.BaseTransport):
    """Chooses a proxy for each request, by the environment's variables."""

    def __init__(
        self, direct: httpx.BaseTransport, proxied: Mapping[str, httpx.BaseTransport]
    ) -> None:
        self._direct = direct
        self._proxied = proxied
        self._direct_networks = direct_networks()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        way = self._proxied.get(request.url.scheme)
        if way is None or self._is_direct(request.url):
            way = self._direct
        return way.handle_request(request)

    def _is_direct(self, url: httpx.URL) -> bool:
        host = url.raw_host.decode("ascii")
        if _is_address(host) and any(ip_address(host) in each for each in self._direct_networks):
            return True
        return bool(proxy_bypass(url.netloc.decode("ascii")))

    def close(self) -> None:
        for way in (self._direct, *self._proxied.values()):
            way.close()
