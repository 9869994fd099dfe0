"""Receivers of callbacks that a test has speak oddly, byte by byte, on connections that last."""

import socket
import ssl
import struct
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path
from typing import Self

from tests.contract.socket_server import Serve, SocketServer
from worker.clients.callbacks import CallbackClient, Delivery
from worker.network.name_lookups import system_addresses

BODY = b'{"x": 1}'
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def read(connection: socket.socket) -> bytes:
    """Return a whole request, or nothing where the client hung up."""
    request = b""
    while not request.endswith(BODY):
        more = connection.recv(65_536)
        if not more:
            return b""
        request += more
    return request


def says(*answers: bytes) -> Serve:
    """Return a server that gives these answers in turn, the last one again and again."""

    def serve(connection: socket.socket) -> None:
        given = 0
        while read(connection):
            connection.sendall(answers[min(given, len(answers) - 1)])
            given += 1

    return serve


def resets(connection: socket.socket) -> None:
    """Break the connection off: what was not sent yet is lost."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def speaks_tls(certificate: Path) -> Serve:
    """Return a server that takes everything, by TLS with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            says(OK)(secured)

    return serve


class Odd:
    """Runs receivers, and clients that call them, until it is left.

    Args:
        context: The clients' TLS.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._open.close()

    def start(self, serve: Serve) -> SocketServer:
        """Run a receiver."""
        receiver = SocketServer(serve)
        self._open.callback(receiver.close)
        return receiver

    def client(
        self, *addresses: str, timeout: float = 5, context: ssl.SSLContext | None = None
    ) -> CallbackClient:
        """Return a client for which every name leads to these addresses."""
        client = CallbackClient(
            allowed=[ip_network("127.0.0.0/8"), ip_network("::1/128")],
            timeout=timeout,
            connections=2,
            ssl_context=context or self._context,
            resolve=(lambda _host: list(addresses)) if addresses else system_addresses,
        )
        self._open.callback(client._client.close)  # noqa: SLF001 - its sockets are closed at exit
        return client


def post(
    client: CallbackClient, receiver: SocketServer, origin: str = "http://127.0.0.1"
) -> Delivery:
    """Make one attempt."""
    return client.post(f"{origin}:{receiver.port}/callback", BODY, {})
