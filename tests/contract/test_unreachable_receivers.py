"""Receivers that are not reached, by TLS or at all: each attempt says why, and is made again."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.forward_proxy import AUTHORITY
from tests.contract.odd_receivers import BODY, OK, Odd, post, resets, says, speaks_tls
from tests.contract.socket_server import Serve
from worker.clients.callbacks import Delivery

#: A certificate that ended in 2001, its own authority, and one of another authority, for names.
EXPIRED, OF_NAMES = AUTHORITY.with_name("expired.pem"), AUTHORITY.with_name("server.pem")


@pytest.fixture
def odd(ssl_context: ssl.SSLContext) -> Iterator[Odd]:
    """Return what runs receivers until the test is over."""
    with Odd(ssl_context) as made:
        yield made


@pytest.mark.parametrize(
    ("server", "trusted", "reason"),
    [
        (EXPIRED, EXPIRED, "the TLS certificate was refused: certificate has expired"),
        (EXPIRED, None, "the TLS certificate was refused: self-signed certificate"),
        (OF_NAMES, None, "the TLS certificate was refused: unable to get local issuer"),
        (OF_NAMES, AUTHORITY, "the TLS certificate was refused: IP address mismatch"),
    ],
)
def test_a_certificate_that_does_not_hold(
    odd: Odd, server: Path, trusted: Path | None, reason: str
) -> None:
    """Nothing is sent, the log says why, and it is tried again: certificates are renewed."""
    context = ssl.create_default_context(cafile=str(trusted) if trusted else None)

    delivery = post(odd.client(context=context), odd.start(speaks_tls(server)), "https://127.0.0.1")

    assert (delivery.error or "").replace("self signed", "self-signed").startswith(reason)
    assert not delivery.final


@pytest.mark.parametrize(
    ("serve", "errors"),
    [
        (says(OK), {"ConnectTimeout"}),
        (resets, {"ConnectError"}),
        (lambda _connection: None, {"ConnectError", "the TLS connection failed: unexpected eof"}),
        (
            lambda connection: connection.sendall(b"HTTP/1.1 400 Speak TLS\r\n\r\n"),
            {"ConnectError", "the TLS connection failed: wrong version number"},
        ),
    ],
)
def test_a_handshake_that_comes_to_nothing(odd: Odd, serve: Serve, errors: set[str]) -> None:
    """It is silent, hangs up, or speaks no TLS: one attempt, to be tried again."""
    client = odd.client(timeout=1)

    delivery = post(client, odd.start(serve), "https://127.0.0.1")

    assert (delivery.error or "").removesuffix(" while reading") in errors
    assert not delivery.final


@pytest.mark.parametrize("dead", ["::1", "127.0.0.2"])
def test_a_name_with_a_dead_address_is_called_at_the_other(odd: Odd, dead: str) -> None:
    """Nobody listens at its first address, of this family or the other."""
    receiver, client = odd.start(says(OK)), odd.client(dead, "127.0.0.1")

    assert post(client, receiver, "http://both.example") == Delivery(status=200)


@pytest.mark.parametrize("origin", ["http://[::1]", "http://[0:0:0:0:0:0:0:1]"])
def test_an_ipv6_literal_is_called(odd: Odd, origin: str) -> None:
    """Nobody listens there, or there is no such family here: a connection that was not made."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        delivery = odd.client().post(f"{origin}:{port}/", BODY, {})

    assert delivery == Delivery(error="ConnectError")
