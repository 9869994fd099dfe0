"""A way to Redis that loses an answer."""

import socket
from typing import Final

from tests.contract.socket_server import SocketServer

_PIECE: Final = 65_536


class LossyWay(SocketServer):
    """Passes bytes on to a server, but hangs up instead of passing on the answer to a command.

    Args:
        port: The server's, on loopback.
        command: What a request whose answer is lost holds.
    """

    def __init__(self, port: int, command: bytes) -> None:
        self._to = port
        self._command = command
        super().__init__(self._pass_on)

    def _pass_on(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._to))
        with server:
            while request := client.recv(_PIECE):
                server.sendall(request)
                answer = server.recv(_PIECE)
                if self._command in request:
                    return
                client.sendall(answer)
