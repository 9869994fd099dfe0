"""A proxy in front of an S3 server that passes requests on, or fails them as it is told to."""

import http.client
import socket
import struct
import threading
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, Self
from urllib.parse import urlsplit

from stack.servers.ports import LOOPBACK, Ports

_PIECE: Final = 64 * 1024  # bytes
_HOP_BY_HOP: Final = {"connection", "expect", "keep-alive", "transfer-encoding"}
_ERROR: Final = """<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>{code}</Code><Message>As the test says</Message><RequestId>1</RequestId></Error>"""


class Manner(Enum):
    """What becomes of a request that is not simply passed on."""

    #: It is answered with an error.
    REFUSE = auto()
    #: It is read and never answered.
    HANG = auto()
    #: A part of it is read, then the connection is reset.
    RESET = auto()
    #: It is carried out and never answered.
    SWALLOW = auto()


@dataclass
class Fault:
    """Which requests fail, how, and how many did.

    Attributes:
        manner: How.
        status: Of a refusal.
        code: Of a refusal: what S3 calls the error.
        match: Only requests whose path holds this.
        methods: Only these.
        times: So many, then no more; None for all.
    """

    manner: Manner = Manner.REFUSE
    status: int = 503
    code: str = "SlowDown"
    match: str = ""
    methods: tuple[str, ...] = ("PUT",)
    times: int | None = None
    met: int = field(default=0, init=False)


class S3Proxy:
    """Listens on a loopback port; `with S3Proxy() as proxy`.

    Attributes:
        upstream: The server's address; to be set before the first request that is passed on.
        requests: Method and path of every request so far.
    """

    def __init__(self) -> None:
        self.upstream = ""
        self.requests: list[tuple[str, str]] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        #: Set to let go of requests that hang.
        self._relief = threading.Event()
        self._ports = Ports()
        self._server = _Server(self, self._ports.take())
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{LOOPBACK}:{self._server.server_port}"

    def order(self, *faults: Fault) -> None:
        """Put faults in force beside those that are."""
        with self._lock:
            self._faults.extend(faults)

    def clear(self) -> None:
        """Pass everything on again; what hangs is let go of, without an answer."""
        with self._lock:
            self._faults.clear()
            self._relief.set()
            self._relief = threading.Event()

    def take(self, method: str, path: str) -> tuple[Fault | None, threading.Event]:
        """Note a request, and return how it fails, if it does, and what ends its waiting."""
        with self._lock:
            self.requests.append((method, path))
            for fault in self._faults:
                spent = fault.times is not None and fault.met >= fault.times
                if method in fault.methods and fault.match in path and not spent:
                    fault.met += 1
                    return fault, self._relief
        return None, self._relief

    def close(self) -> None:
        """Stop listening."""
        self.clear()
        self._server.shutdown()
        self._server.server_close()
        self._ports.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    # A request that hangs, hangs until it is let go of; closing must not wait for that.
    block_on_close = False

    def __init__(self, proxy: S3Proxy, port: int) -> None:
        self.proxy = proxy
        super().__init__((LOOPBACK, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:  # the client gave up
            self.close_connection = True

    def _any(self) -> None:
        if not isinstance(self.server, _Server):
            raise TypeError("made by _Server alone")
        proxy = self.server.proxy
        fault, relief = proxy.take(self.command, self.path)
        if fault and fault.manner is Manner.RESET:
            self._reset()
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if fault is None or fault.manner is Manner.SWALLOW:
            status, headers, answer = self._forward(proxy.upstream, body)
        else:
            status, headers = fault.status, [("content-type", "application/xml")]
            answer = _ERROR.format(code=fault.code).encode()
        if fault and fault.manner is not Manner.REFUSE:
            relief.wait()
            self.close_connection = True
            return
        self._answer(status, headers, answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _any  # noqa: N815 - the base class's names

    def _forward(self, upstream: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Send the request on as it is: its signature covers the host it was sent to."""
        server = http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=60)
        try:
            server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    server.putheader(name, value)
            server.endheaders(body or None)
            answer = server.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        except (OSError, http.client.HTTPException):
            return 502, [], b""
        finally:
            server.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        stated = None
        for name, value in headers:
            if name.lower() == "content-length":
                stated = value
            elif name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        # The answer to a HEAD states the length of what it does not bring.
        is_head = self.command == "HEAD"
        self.send_header("content-length", stated if is_head and stated else str(len(body)))
        self.end_headers()
        if not is_head:
            self.wfile.write(body)

    def _reset(self) -> None:
        self.rfile.read(min(_PIECE // 64, int(self.headers.get("content-length", 0))))
        # Closing with no time to linger sends a reset instead of an end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *_arguments: object) -> None:
        """Write nothing."""
