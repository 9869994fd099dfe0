"""The client for addresses that others chose opens sockets to allowed addresses only."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from tests.contract.scripted_server import ScriptedServer, answer
from worker.network.guarded_http import guarded_client
from worker.network.name_lookups import Lookups, system_addresses
from worker.network.proxies import AddressRefused

Make = Callable[..., httpx.Client]


NAME = "hooks.example.com"


class Names:
    """Finds the addresses of names: of NAME as the test says, of all others as the system does."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.addresses: list[str] = []

    def __call__(self, host: str) -> list[str]:
        """Look a name up."""
        self.asked.append(host)
        return self.addresses if host == NAME else system_addresses(host)

    def lead_to(self, *addresses: str) -> list[str]:
        """Make NAME lead to addresses; return the list of who is asked for."""
        self.addresses = list(addresses)
        return self.asked


@pytest.fixture
def names() -> Names:
    """Return what looks names up."""
    return Names()


@pytest.fixture
def make(ssl_context: ssl.SSLContext, request: pytest.FixtureRequest, names: Names) -> Make:
    """Return a function that makes a guarded client, closed after the test."""

    def client(**options: Any) -> httpx.Client:
        usual: dict[str, Any] = {"timeout": httpx.Timeout(5), "lookups": Lookups(resolve=names)}
        made = guarded_client(connections=2, ssl_context=ssl_context, **(usual | options))
        request.addfinalizer(made.close)
        return made

    return client


@pytest.fixture
def resolve(names: Names) -> Callable[..., list[str]]:
    """Return a function that makes NAME lead to addresses, and returns who is asked for."""
    return names.lead_to


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "[::1]"]
)
def test_this_machine_is_refused_however_it_is_written(
    make: Make, server: ScriptedServer, host: str
) -> None:
    """No spelling of a loopback address gets a connection."""
    with pytest.raises(AddressRefused):
        make().get(f"http://{host}:{server.port}/")
    assert not server.requests


def test_a_public_name_that_leads_inside_is_refused(
    make: Make, server: ScriptedServer, resolve: Callable[..., list[str]]
) -> None:
    """What counts is the address that is connected to, not the name that was checked before."""
    resolve("127.0.0.1", "10.0.0.1", "169.254.169.254")

    with pytest.raises(AddressRefused):
        make().get(f"http://{NAME}:{server.port}/")
    assert not server.requests


def test_the_address_that_was_checked_is_the_one_connected_to(
    make: Make, server: ScriptedServer, resolve: Callable[..., list[str]]
) -> None:
    """The name is resolved once per connection, so a second answer gains nothing."""
    asked = resolve("127.0.0.1")
    client = make(allowed=[ip_network("127.0.0.1/32")])

    client.get(f"http://{NAME}:{server.port}/")

    (request,) = server.requests
    assert asked.count(NAME) == 1
    assert request.headers["host"] == f"{NAME}:{server.port}"


def test_the_public_addresses_of_a_mixed_name_are_used(
    make: Make, server: ScriptedServer, resolve: Callable[..., list[str]]
) -> None:
    """Refused addresses are passed over, those that do not answer too, down to one that does."""
    resolve("10.0.0.1", "127.0.0.9", "127.0.0.1")
    client = make(allowed=[ip_network("127.0.0.0/8")])

    assert client.get(f"http://{NAME}:{server.port}/").status_code == 200


@pytest.fixture
def black_hole(server: ScriptedServer) -> Iterator[str]:
    """Return an address that answers no one: at the server's port its queue is full."""
    with ExitStack() as sockets:
        hole = sockets.enter_context(socket.socket())
        hole.bind(("127.0.0.9", server.port))
        hole.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.9", server.port))
        yield "127.0.0.9"


def test_an_address_that_never_answers_does_not_take_all_the_time(
    make: Make, server: ScriptedServer, resolve: Callable[..., list[str]], black_hole: str
) -> None:
    """Each address gets its share of the time, so that those behind a black hole are reached."""
    resolve(black_hole, "127.0.0.1")
    allowed = [ip_network("127.0.0.0/8")]
    client = make(allowed=allowed, timeout=httpx.Timeout(1))

    assert client.get(f"http://{NAME}:{server.port}/").status_code == 200
    with pytest.raises(httpx.ConnectTimeout):
        make(allowed=allowed, timeout=httpx.Timeout(0.2)).get(f"http://{black_hole}:{server.port}/")


def test_allowed_networks_pass(make: Make, server: ScriptedServer) -> None:
    """An address in an allowed network is connected to."""
    client = make(allowed=[ip_network("127.0.0.0/8")])

    assert client.get(server.url).status_code == 200


def test_trusted_hosts_pass_and_no_others(make: Make, server: ScriptedServer) -> None:
    """A host that the operator named is called wherever it leads; its neighbours are not."""
    client = make(trusted_hosts=["127.0.0.1"])

    assert client.get(server.url).status_code == 200
    with pytest.raises(AddressRefused):
        client.get(f"http://localhost:{server.port}/")


def test_redirects_are_not_followed(make: Make, server: ScriptedServer) -> None:
    """A redirect is an answer like any other."""
    server.script = answer(307, b"", f"location: {server.url}/inside")
    client = make(trusted_hosts=["127.0.0.1"])

    assert client.get(server.url).status_code == 307
    assert len(server.requests) == 1


def test_proxies_of_the_environment_are_ignored(
    make: Make, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would open the connection for us, past every check."""
    with ScriptedServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        client = make(trusted_hosts=["127.0.0.1"])

        assert client.get(server.url).status_code == 200
        with pytest.raises(AddressRefused):
            make().get(server.url)
        assert not proxy.requests


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example", "no-such-host.invalid"])
def test_a_name_that_does_not_resolve_is_a_connect_error(make: Make, host: str) -> None:
    """Also a name that is none ends in the one kind of error that callers handle."""
    with pytest.raises(httpx.ConnectError):
        make().get(f"http://{host}/")
