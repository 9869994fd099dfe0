"""HTTP clients for addresses that others choose: callbacks and result URLs.

The address rules are applied when a socket is opened, to the address that is connected to, so that
DNS rebinding gains nothing. Redirects are not followed, and only the operator's proxy is used. A
client serves many tenants and hosts, so nothing of one request is kept for the next but the open
connection.
"""

import contextlib
import math
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, Final

import httpcore
import httpx
from httpcore._backends.sync import SyncBackend

from core.security.address_rules import Network, is_allowed_address
from core.text_values import Secret
from worker.network.connection_reuse import close_after_extra_bytes
from worker.network.name_lookups import Lookups
from worker.network.proxies import AddressCheck, AddressRefused, transport_through

#: Minimum connect timeout in seconds per address.
_SHORTEST_CONNECT: Final = 0.1
#: Bytes per read; with httpcore's 64 kB, threads switch too often.
_READ: Final = 256 * 1024
#: Idle connections are not reused after this time: the server may close one just as a request is
#: written to it, and then nobody knows whether the request arrived.
KEEPALIVE: Final = 3.0  # seconds


class Deadline(threading.local):
    """The end of a thread's current request, as `time.monotonic()`; infinite by default.

    httpx timeouts bound single waits only, so headers sent byte by byte would never time out.
    """

    at: float = math.inf

    @contextlib.contextmanager
    def ends(self, at: float) -> Iterator[None]:
        """End what this thread sends and reads inside the block at that time."""
        self.at = at
        try:
            yield
        finally:
            self.at = math.inf


class _GuardedStream(httpcore.NetworkStream):
    """A connection that times out at its thread's deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._left(timeout, httpcore.ReadTimeout)
        return self._stream.read(max(max_bytes, _READ), left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._left(timeout, httpcore.ConnectTimeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, left)
        return _GuardedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, timeout: float | None, error: type[httpcore.TimeoutException]) -> float | None:
        if self._deadline.at == math.inf:
            return timeout
        left = self._deadline.at - time.monotonic()
        if left <= 0:
            raise error("the request as a whole took too long")
        return left if timeout is None else min(left, timeout)


class _GuardedBackend(SyncBackend):
    """Opens sockets to allowed addresses only, within the thread's deadline.

    Args:
        may_call: Returns whether a host may be called at an address.
        deadline: The deadline of the calling thread.
        lookups: Resolves host names.
    """

    def __init__(
        self, may_call: Callable[[str, str], bool], deadline: Deadline, lookups: Lookups
    ) -> None:
        self._may_call = may_call
        self._deadline = deadline
        self._lookups = lookups

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first allowed address of `host` that answers."""
        stream = self._connect(host, port, timeout, local_address, socket_options)
        return _GuardedStream(stream, self._deadline)

    def _connect(
        self,
        host: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.NetworkStream:
        addresses = [one for one in self._addresses(host) if self._may_call(host, one)]
        timeout = self._left(timeout)
        give_up_at = None if timeout is None else time.monotonic() + timeout
        for remaining, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            left = None if give_up_at is None else give_up_at - time.monotonic()
            # An unresponsive address must leave time for the next ones.
            share = None if left is None else max(_SHORTEST_CONNECT, left / remaining)
            try:
                return super().connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if remaining == 1 or (give_up_at and time.monotonic() >= give_up_at):
                    raise
        raise AddressRefused(f"{host} resolves to private or reserved addresses only")

    def _addresses(self, host: str) -> list[str]:
        """Return the addresses of a host name, or the host itself if it is an address."""
        try:
            ip_address(host.partition("%")[0])
        except ValueError:
            return self._lookups.addresses(host, self._deadline.at - time.monotonic())
        return [host]

    def _left(self, timeout: float | None) -> float | None:
        if self._deadline.at == math.inf:
            return timeout
        left = max(_SHORTEST_CONNECT, self._deadline.at - time.monotonic())
        return left if timeout is None else min(left, timeout)


def guarded_client(
    *,
    timeout: httpx.Timeout,
    connections: int,
    ssl_context: ssl.SSLContext,
    allowed: Sequence[Network] = (),
    trusted_hosts: Sequence[str] = (),
    deadline: Deadline | None = None,
    lookups: Lookups | None = None,
    proxy: Secret | None = None,
) -> httpx.Client:
    """Return a client that opens sockets to public addresses only.

    Args:
        timeout: Timeout of each single wait; the reader of a body bounds the total.
        connections: Maximum number of open connections.
        ssl_context: Shared by the clients of a process, because creating one is slow.
        allowed: Private networks that may be called.
        trusted_hosts: Hosts that may be called at any address, by the operator's choice.
        deadline: Set by the sender of a request, on its thread.
        lookups: Resolves host names.
        proxy: As in `worker.network.proxies.transport_through`; it then has to check addresses.
    """
    trusted = frozenset(trusted_hosts)
    until, resolver = deadline or Deadline(), lookups or Lookups()

    def may_call(host: str, address: str) -> bool:
        return host in trusted or is_allowed_address(address, allowed)

    def make(through: httpx.Proxy | None) -> httpx.BaseTransport:
        if through is None:
            backend = _GuardedBackend(may_call, until, resolver)
            return _transport(connections, ssl_context, backend, None)
        # Only the proxy is connected to, and the operator chose it.
        backend = _GuardedBackend(lambda *_host: True, until, resolver)
        below = _transport(connections, ssl_context, backend, through)
        return AddressCheck(below, allowed, trusted)

    return _client(transport_through(proxy, make, ssl_context), timeout)


def open_client(
    *,
    timeout: httpx.Timeout,
    connections: int,
    ssl_context: ssl.SSLContext,
    deadline: Deadline | None = None,
    lookups: Lookups | None = None,
    proxy: Secret | None = None,
) -> httpx.Client:
    """Return a client that calls any address: for hosts that the operator named.

    Args:
        timeout: Timeout of each single wait; the reader of a body bounds the total.
        connections: Maximum number of open connections.
        ssl_context: Shared by the clients of a process, because creating one is slow.
        deadline: Set by the sender of a request, on its thread.
        lookups: Resolves host names.
        proxy: As in `worker.network.proxies.transport_through`.
    """
    backend = _GuardedBackend(lambda *_host: True, deadline or Deadline(), lookups or Lookups())

    def make(through: httpx.Proxy | None) -> httpx.BaseTransport:
        return _transport(connections, ssl_context, backend, through)

    return _client(transport_through(proxy, make, ssl_context), timeout)


def _transport(
    connections: int,
    ssl_context: ssl.SSLContext,
    backend: _GuardedBackend,
    through: httpx.Proxy | None,
) -> httpx.HTTPTransport:
    limits = httpx.Limits(max_connections=connections, keepalive_expiry=KEEPALIVE)
    transport = httpx.HTTPTransport(
        verify=ssl_context, limits=limits, trust_env=False, proxy=through
    )
    # httpx has no public way to set a network backend; a test fails if this breaks.
    pool: Any = transport._pool  # noqa: SLF001 - see above
    pool._network_backend = backend  # noqa: SLF001 - see above
    close_after_extra_bytes(pool)
    return transport


def _client(transport: httpx.BaseTransport, timeout: httpx.Timeout) -> httpx.Client:
    """Return a client that keeps no cookies and takes no credentials from a URL."""
    return httpx.Client(
        transport=transport,
        timeout=timeout,
        # Cookies of one tenant's receiver would be sent to another's.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # With None, httpx would send the user name and password of the URL.
        auth=httpx.Auth(),
        follow_redirects=False,
        trust_env=False,
    )


class TooSlow(httpx.ReadTimeout):
    """The whole body took too long, though each chunk came in time."""


class TooLarge(httpx.HTTPError):
    """The body is larger than allowed."""


def read_body(
    response: httpx.Response,
    *,
    limit: int,
    give_up_at: float,
    decoded: bool = True,
    cut: bool = False,
) -> bytes:
    """Read a body of bounded size in bounded time.

    Args:
        response: A streamed response.
        limit: Maximum size in bytes.
        give_up_at: Time limit, as `time.monotonic()`.
        decoded: Undo the content encoding; off where a decompression bomb is possible.
        cut: Return the beginning of a body that is too large (at least `limit` bytes).

    Raises:
        TooLarge: The body is larger than `limit`.
        TooSlow: The body takes longer.
    """
    body = bytearray()
    for chunk in response.iter_bytes() if decoded else response.iter_raw():
        body += chunk
        if len(body) > limit:
            if cut:
                break
            raise TooLarge(f"the body is larger than {limit} bytes")
        if time.monotonic() > give_up_at:
            raise TooSlow("the body arrived too slowly")
    return bytes(body)
