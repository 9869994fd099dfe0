"""A local server that receives callbacks, verifies them, and forwards them on request."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import httpx

from fluxrelay.cli.signatures import fault
from fluxrelay.running.http import ERRORS

_LARGEST: Final = 16 * 1024 * 1024
_NO_CONTENT, _UNAUTHORIZED, _TOO_LARGE, _BAD_GATEWAY = 204, 401, 413, 502
#: Headers that concern one connection only, or that the forwarding client sets by itself.
_OF_THE_CONNECTION: Final = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
)


@dataclass(frozen=True)
class Received:
    """One callback.

    Attributes:
        at: Unix time of its receipt.
        headers: Its headers, names in lower case.
        body: Its body as it came.
        problem: What is wrong with its signature; None: nothing.
        answered: The status of our answer.
        forward_error: Why it could not be forwarded; None: it could, or needed not.
    """

    at: float
    headers: dict[str, str]
    body: bytes
    problem: str | None
    answered: int
    forward_error: str | None = None

    @property
    def content(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class CallbackServer(ThreadingHTTPServer):
    """Receives callbacks at any path, and answers 204, 401, or what the receiver behind answers.

    Args:
        address: Host and port; port 0: any.
        secrets: The secrets that may have signed a callback.
        tell: Is given each callback, one at a time.
        forward: The URL that each verified callback is sent on to.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self,
        address: tuple[str, int],
        secrets: Sequence[str],
        tell: Callable[[Received], None],
        forward: str | None = None,
    ) -> None:
        self._secrets, self._tell, self._forward = secrets, tell, forward
        self._telling = threading.Lock()
        self._counting = threading.Lock()
        #: How many callbacks have come and are not answered yet.
        self.busy = 0
        super().__init__(address, _Handler)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Count a callback as one that is being answered."""
        with self._counting:
            self.busy += 1
        try:
            yield
        finally:
            with self._counting:
                self.busy -= 1

    @property
    def url(self) -> str:
        """The URL of this server."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/"

    def receive(self, headers: dict[str, str], body: bytes) -> int:
        """Verify, forward and tell one callback; return the status to answer with."""
        now = time.time()
        problem = fault(body, headers, self._secrets, now)
        status, error = _UNAUTHORIZED if problem else _NO_CONTENT, None
        if self._forward and problem is None:
            status, error = self._sent_on(self._forward, headers, body)
        with self._telling:
            self._tell(Received(now, headers, body, problem, status, error))
        return status

    def _sent_on(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, str | None]:
        passed = {name: v for name, v in headers.items() if name not in _OF_THE_CONNECTION}
        try:
            with httpx.stream(
                "POST", url, content=body, headers=passed, timeout=15, trust_env=False
            ) as answer:  # whose content is not passed back, and may have no end
                return answer.status_code, None
        except ERRORS as error:
            return _BAD_GATEWAY, f"{type(error).__name__}: {error}"


class _Handler(BaseHTTPRequestHandler):
    server: CallbackServer
    #: Seconds after which a sender that stalls is disconnected.
    timeout = 30

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or int(length[:12]) > _LARGEST:
            self._answer(_TOO_LARGE)
            return
        body = self.rfile.read(int(length))
        if len(body) == int(length):  # else the sender died while it sent
            headers = {name.lower(): value for name, value in self.headers.items()}
            with self.server.answering():
                self._answer(self.server.receive(headers, body))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the library
        """Write nothing: the command tells what came."""
