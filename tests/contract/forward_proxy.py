"""A small forward proxy, and a server behind it: real sockets, and a record of what passed."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

AUTHORITY = Path(__file__).parent / "authority/ca.pem"
_CERTIFICATE = Path(__file__).parent / "authority/server.pem"


@dataclass
class Seen:
    """What passed: request lines, and the values of one header of each."""

    lines: list[str] = field(default_factory=list)
    credentials: list[str | None] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    seen: Seen
    body: bytes
    #: Where the proxy sends whatever it is asked for: it is the one that looks names up.
    leads_to: int
    wants: str | None


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_words: object) -> None:
        """Write nothing."""

    def _note(self) -> None:
        self.server.seen.lines.append(self.requestline.removesuffix(" HTTP/1.1"))
        self.server.seen.credentials.append(self.headers["proxy-authorization"])

    def _read(self) -> None:
        """Read a request's body, in chunks where its length is not stated."""
        if self.headers["content-length"]:
            self.rfile.read(int(self.headers["content-length"]))
            return
        while size := int(self.rfile.readline(), 16):
            self.rfile.read(size + len(b"\r\n"))
        self.rfile.readline()

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("content-type", "image/png")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Origin(_Handler):
    def do_GET(self) -> None:
        """Answer with the body."""
        self._note()
        self._answer(200, self.server.body)

    def do_POST(self) -> None:
        """Answer with the body, having read the request's."""
        self._read()
        self.do_GET()


class _Proxy(_Handler):
    def _admits(self) -> bool:
        self._note()
        wanted = self.server.wants
        return wanted is None or self.headers["proxy-authorization"] == wanted

    def do_CONNECT(self) -> None:
        """Join the client with the server, both ways, until one of them ends."""
        if not self._admits():
            self._answer(407)
            return
        with socket.create_connection(("127.0.0.1", self.server.leads_to)) as far:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pour, args=(far, self.connection), daemon=True)
            back.start()
            _pour(self.connection, far)
            back.join()
        self.close_connection = True

    def do_GET(self) -> None:
        """Answer for the server: what is sent in clear text may be read here."""
        self._answer(200 if self._admits() else 407, self.server.body)

    def do_POST(self) -> None:
        """Likewise, having read the request's body."""
        self._read()
        self.do_GET()


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def _serving(server: _Server) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Office:
    """A proxy, and what lies beyond it: one server for all names, by TLS."""

    port: int
    at_proxy: Seen
    at_origin: Seen


@contextmanager
def office(body: bytes, wants: str | None = None) -> Iterator[Office]:
    """Run a proxy and the server beyond it.

    Args:
        body: What is answered to everything.
        wants: The `Proxy-Authorization` without which the proxy answers 407.
    """
    with ExitStack() as running:
        origin = _Server(("127.0.0.1", 0), _Origin)
        proxy = _Server(("127.0.0.1", 0), _Proxy)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_CERTIFICATE)
        origin.socket = context.wrap_socket(origin.socket, server_side=True)
        for server in (origin, proxy):
            server.seen, server.body, server.wants = Seen(), body, wants
            server.leads_to = origin.server_address[1]
            running.enter_context(_serving(server))
        yield Office(proxy.server_address[1], proxy.seen, origin.seen)
