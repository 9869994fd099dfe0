"""HTTP clients for addresses that others chose: callbacks and result URLs.

Whether an address may be called is decided when the socket is opened, on the address that is
really connected to, so that a name which resolves differently the second time (DNS rebinding)
gains nothing. No redirects are followed and no proxy is used but the operator's. Clients serve many
tenants and hosts, so they keep nothing of one exchange for the next but the open connection.
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
from worker.network.name_lookups import Lookups
from worker.network.proxies import AddressRefused, Checked, way_out

#: Seconds that an address gets, however many there are and however little time is left.
_SHORTEST_CONNECT: Final = 0.1
#: Bytes asked for at a time; httpcore's own 64 kB make threads hand over to each other too often.
_READ: Final = 256 * 1024
#: Connections idle for longer are not used again: the other side may close one just as a request is
#: written to it, and then nobody knows whether that arrived.
KEEPALIVE: Final = 3.0  # seconds


class Deadline(threading.local):
    """When whatever a thread sends and reads is to be over: `time.monotonic()`, never by default.

    It bounds what httpx' time limits, each of a single wait, do not: an answer whose head comes
    byte by byte.
    """

    at: float = math.inf

    @contextlib.contextmanager
    def ends(self, at: float) -> Iterator[None]:
        """Have what this thread sends and reads within this block be over by then."""
        self.at = at
        try:
            yield
        finally:
            self.at = math.inf


class _GuardedStream(httpcore.NetworkStream):
    """A connection whose every use ends at its thread's deadline."""

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
            raise error("the exchange as a whole took too long")
        return left if timeout is None else min(left, timeout)


class _GuardedBackend(SyncBackend):
    """Opens sockets only to addresses that are allowed, within the thread's deadline.

    Args:
        may_call: Says whether a host may be called at an address.
        deadline: Whatever a thread does ends by it.
        lookups: Finds the addresses of names.
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
            # One that swallows what is sent to it must leave time for those behind it.
            share = None if left is None else max(_SHORTEST_CONNECT, left / remaining)
            try:
                return super().connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if remaining == 1 or (give_up_at and time.monotonic() >= give_up_at):
                    raise
        raise AddressRefused(f"{host} leads to private or reserved addresses only")

    def _addresses(self, host: str) -> list[str]:
        """Return the addresses of a host, itself where it is one."""
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
        timeout: Of each single wait; whoever reads a body bounds the whole.
        connections: How many may be open at a time.
        ssl_context: Made once per process, for making one is slow.
        allowed: Networks that may be called although they are private.
        trusted_hosts: Hosts that may be called wherever they lead; the operator's own choice.
        deadline: Set by whoever sends a request, on the thread that does.
        lookups: Finds the addresses of names.
        proxy: See `worker.network.proxies.way_out`; it has to guard addresses then.
    """
    trusted = frozenset(trusted_hosts)
    until, resolver = deadline or Deadline(), lookups or Lookups()

    def may_call(host: str, address: str) -> bool:
        return host in trusted or is_allowed_address(address, allowed)

    def make(through: httpx.Proxy | None) -> httpx.BaseTransport:
        if through is None:
            backend = _GuardedBackend(may_call, until, resolver)
            return _transport(connections, ssl_context, backend, None)
        # The proxy is all that is connected to, and the operator's own choice.
        backend = _GuardedBackend(lambda *_host: True, until, resolver)
        below = _transport(connections, ssl_context, backend, through)
        return Checked(below, allowed, trusted)

    return _client(way_out(proxy, make, ssl_context), timeout)


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
        timeout: Of each single wait; whoever reads a body bounds the whole.
        connections: How many may be open at a time.
        ssl_context: Made once per process, for making one is slow.
        deadline: Set by whoever sends a request, on the thread that does.
        lookups: Finds the addresses of names.
        proxy: See `worker.network.proxies.way_out`.
    """
    backend = _GuardedBackend(lambda *_host: True, deadline or Deadline(), lookups or Lookups())

    def make(through: httpx.Proxy | None) -> httpx.BaseTransport:
        return _transport(connections, ssl_context, backend, through)

    return _client(way_out(proxy, make, ssl_context), timeout)


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
    # httpx has no public way to hand its pool a network backend; a test would see this break.
    transport._pool._network_backend = backend  # noqa: SLF001 - see above
    return transport


def _client(transport: httpx.BaseTransport, timeout: httpx.Timeout) -> httpx.Client:
    """Return a client that keeps, and reads out of a URL, nothing that it would send."""
    return httpx.Client(
        transport=transport,
        timeout=timeout,
        # What one tenant's receiver sets would be sent to the others'.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        # Not None, for which httpx takes the user name and password of the URL.
        auth=httpx.Auth(),
        follow_redirects=False,
        trust_env=False,
    )


class TooSlow(httpx.ReadTimeout):
    """The body as a whole took too long, though each part came in time."""


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
        limit: Bytes.
        give_up_at: `time.monotonic()` after which reading stops.
        decoded: Undo its compression, which a stranger could use to fill the memory.
        cut: Of a larger one, return the beginning, which is longer than the limit.

    Raises:
        TooLarge: There is more.
        TooSlow: It takes longer.
    """
    body = bytearray()
    for chunk in response.iter_bytes() if decoded else response.iter_raw():
        body += chunk
        if len(body) > limit:
            if cut:
                break
            raise TooLarge(f"the body is larger than {limit} bytes")
        if time.monotonic() > give_up_at:
            raise TooSlow("the body came too slowly")
    return bytes(body)
