"""A callback receiver in this process, which records callbacks and answers as scripted."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from stack.servers.ports import LOOPBACK, Ports


@dataclass(frozen=True)
class Answer:
    """How one callback is answered.

    Attributes:
        status: The HTTP status; None closes the connection without an answer.
        delay_seconds: Delay of the answer.
        headers: More header lines, as names and values: cookies, `Retry-After`.
    """

    status: int | None = 204
    delay_seconds: float = 0.0
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Callback:
    """One received callback.

    Attributes:
        path: Its path.
        headers: Its headers, names in lower case.
        body: Its body as received.
        received_at: Unix time in seconds.
        answered: The status of our answer; None: no answer.
        payload: Its parsed body, if its signature was verified on receipt.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    received_at: float
    answered: int | None
    payload: object = None

    def verify(self, secret: str) -> object:
        """Verify the signature and return the parsed body.

        Args:
            secret: The Standard Webhooks secret of the caller, `whsec_...`.

        Raises:
            WebhookVerificationError: A header is missing, the timestamp is off, or no signature
                matches.
        """
        return Webhook(secret).verify(self.body, self.headers)


class CallbackReceiver:
    """Listens on a loopback port until closed; `with CallbackReceiver() as receiver`.

    It answers every callback with 204 unless a script says otherwise.
    """

    def __init__(self) -> None:
        self._ports = Ports()
        self._port = self._ports.take()
        self._changed = threading.Condition()
        self._callbacks: list[Callback] = []
        self._script: deque[Answer] = deque()
        self._usual = Answer()
        self._closing = threading.Event()
        self._secret: str | None = None
        self._server: ThreadingHTTPServer | None = None
        self.come_up()

    @property
    def url(self) -> str:
        """The URL for callbacks; further path segments are accepted too."""
        return f"http://{LOOPBACK}:{self._port}/callbacks"

    @property
    def callbacks(self) -> tuple[Callback, ...]:
        """All callbacks so far, in order of receipt."""
        with self._changed:
            return tuple(self._callbacks)

    def trust(self, secret: str) -> None:
        """Verify every callback on receipt from now on: a signature is valid for minutes only.

        Args:
            secret: The Standard Webhooks secret of the caller, `whsec_...`.
        """
        self._secret = secret

    def script(self, *answers: Answer, then: Answer | None = None) -> None:
        """Answer the next callbacks with these answers in turn, and all later ones with `then`."""
        with self._changed:
            self._script = deque(answers)
            self._usual = then or Answer()

    def wait_for(
        self, wanted: Callable[[Callback], bool], *, count: int = 1, timeout_seconds: float
    ) -> tuple[Callback, ...]:
        """Return the matching callbacks as soon as there are `count` of them.

        Raises:
            TimeoutError: There are fewer when the time is up.
        """

        def found() -> tuple[Callback, ...]:
            return tuple(callback for callback in self._callbacks if wanted(callback))

        with self._changed:
            if self._changed.wait_for(lambda: len(found()) >= count, timeout_seconds):
                return found()
            raise TimeoutError(
                f"{len(found())} of {count} callbacks after {timeout_seconds:g} s"
                f" ({len(self._callbacks)} of any kind)"
            )

    def go_down(self) -> None:
        """Stop listening: new connections are refused until `come_up`."""
        if self._server is not None:
            self._closing.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def come_up(self) -> None:
        """Listen on the same port again."""
        if self._server is None:
            self._closing.clear()
            self._server = _Server(self)
            threading.Thread(
                target=self._server.serve_forever,
                kwargs={"poll_interval": 0.02},
                name="callback-receiver",
                daemon=True,
            ).start()

    def close(self) -> None:
        """Stop listening for good."""
        self.go_down()
        self._ports.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Record a callback and return its answer, after the answer's delay."""
        with self._changed:
            answer = self._script.popleft() if self._script else self._usual
            callback = Callback(path, headers, body, time.time(), answer.status)
            self._callbacks.append(replace(callback, payload=self._verified(callback)))
            self._changed.notify_all()
        self._closing.wait(answer.delay_seconds)
        return answer

    def _verified(self, callback: Callback) -> object:
        if self._secret is None:
            return None
        try:
            return callback.verify(self._secret)
        except WebhookVerificationError:
            return None

    @property
    def port(self) -> int:
        """The port it listens on while it is up."""
        return self._port


class _Server(ThreadingHTTPServer):
    # The default of 5 would refuse connections when many jobs end at the same time.
    request_queue_size = 256
    daemon_threads = True

    def __init__(self, receiver: CallbackReceiver) -> None:
        self.receiver = receiver
        super().__init__((LOOPBACK, receiver.port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    # One request per connection, so that a receiver that goes down has no open connections.
    protocol_version = "HTTP/1.0"
    #: Seconds after which a sender that stalls in the middle of a body is disconnected.
    timeout = 30

    def do_POST(self) -> None:
        if not isinstance(self.server, _Server):
            raise TypeError("made by _Server alone")
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            return  # the sender died while it sent: this is no request
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.receiver.receive(self.path, headers, body)
        if answer.status is not None:
            self.send_response(answer.status)
            self.send_header("content-length", "0")
            for name, value in answer.headers:
                self.send_header(name, value)
            self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Write nothing: stderr belongs to the user of the receiver."""
