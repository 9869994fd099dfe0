"""A sandbox as a real process on a free port, and a receiver for its webhooks."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack.servers.children import Child, Program
from tests import forked_programs

ROOT = Path(__file__).parents[2]
KEY = "sandbox-key-1"
OTHER_KEY = "sandbox-key-2"
#: What get_result says of a task that has not ended.
RUNNING = {"Pending", "Reasoning", "Generating"}
#: Seconds that anything may take before a test gives up on it.
PATIENCE = 60.0


def _wait_for(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Return the condition's first true value."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {PATIENCE} s")
        pause.wait(0.02)


@dataclass
class RunningSandbox:
    """A sandbox process and a client for it."""

    url: str
    process: Child
    log: Path
    client: httpx.Client

    def submit(
        self, model: str = "flux-pro-1.1", key: str = KEY, /, **body: object
    ) -> httpx.Response:
        """POST a task."""
        return self.client.post(f"/v1/{model}", json=body, headers={"x-key": key})

    def credits(self, key: str = KEY) -> float:
        """Ask what an account has left."""
        answer = self.client.get("/v1/credits", headers={"x-key": key})
        return float(answer.json()["credits"])

    def create(self, model: str = "flux-pro-1.1", key: str = KEY, /, **body: object) -> str:
        """POST a task that must be accepted; return its id."""
        answer = self.submit(model, key, **body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def poll(self, task_id: str) -> httpx.Response:
        """Ask how a task stands."""
        return self.client.get("/v1/get_result", params={"id": task_id})

    def ended(self, task_id: str) -> Any:
        """Return the poll's body once the task has ended."""

        def body() -> Any:
            polled = self.poll(task_id).json()
            return polled if polled["status"] not in RUNNING else None

        return _wait_for(body, "the task's end")

    def finished(self, model: str = "flux-pro-1.1", /, **body: object) -> Any:
        """Run a task to its end; return the poll's body."""
        return self.ended(self.create(model, **body))

    def sample(self, **body: object) -> str:
        """Run a task to its end; return the picture's address."""
        return str(self.finished(**body)["result"]["sample"])

    def ledger(self) -> Any:
        """Return the whole ledger."""
        return self.client.get("/sandbox/ledger").json()

    def entry(self, task_id: str) -> Any:
        """Return one task's page of the ledger."""
        return self.client.get(f"/sandbox/ledger/{task_id}").json()

    def deliveries(self, task_id: str, count: int) -> Any:
        """Return a task's deliveries once there are that many."""

        def enough() -> Any:
            made = self.entry(task_id)["deliveries"]
            return made if len(made) >= count else None

        return _wait_for(enough, f"{count} deliveries")

    def set_faults(self, **faults: object) -> None:
        """Put faults in force."""
        assert self.client.post("/sandbox/faults", json=faults).status_code == 200


StartSandbox = Callable[..., RunningSandbox]
FreePorts = Callable[[int], list[int]]
WaitFor = Callable[[Callable[[], Any]], Any]


@dataclass
class Webhook:
    """One webhook as it came in."""

    headers: dict[str, str]
    body: Any


@dataclass
class Receiver:
    """Takes webhooks and answers them as told: `statuses` first, then 200."""

    url: str
    webhooks: list[Webhook] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    #: While this is clear, no request is answered.
    answering: threading.Event = field(default_factory=threading.Event)

    def wait(self, count: int = 1) -> list[Webhook]:
        """Return the webhooks once there are that many."""
        _wait_for(lambda: len(self.webhooks) >= count, f"{count} webhooks")
        return self.webhooks


def _environment(port: int, settings: dict[str, object]) -> dict[str, str]:
    chosen: dict[str, object] = {
        "API_KEYS": f"{KEY},{OTHER_KEY}",
        "PORT": port,
        "GENERATION_SECONDS": 0.02,
        "IMAGE_SIDE": 128,
        "VIDEO_SCALE": 0.1,
        **settings,
    }
    own = {f"SANDBOX_{name}": str(value) for name, value in chosen.items()}
    return {"PATH": os.environ["PATH"], **own}


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [int(listener.getsockname()[1]) for listener in listeners]


def _started(stack: ExitStack, folder: Path, settings: dict[str, object]) -> RunningSandbox:
    port = int(str(settings.get("PORT") or _free_ports(1)[0]))
    log = folder / f"sandbox-{port}.log"
    argv = (sys.executable, "-m", "sandbox")
    environment = _environment(port, settings)
    process = forked_programs.start(Program(argv, environment, ROOT, output=log, errors=log))
    stack.callback(process.wait, PATIENCE)
    stack.callback(process.kill)
    url = f"http://127.0.0.1:{port}"
    client = stack.enter_context(httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE))

    def healthy() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return client.get("/sandbox/healthz").status_code == 200
        except httpx.TransportError:
            return False

    _wait_for(healthy, "the sandbox")
    return RunningSandbox(url, process, log, client)


@pytest.fixture
def wait_for() -> WaitFor:
    """Return a function that returns a condition's first true value."""
    return _wait_for


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """Return a function that finds so many free ports."""
    return _free_ports


@pytest.fixture
def start_sandbox(tmp_path: Path) -> Iterator[StartSandbox]:
    """Return a function that starts a sandbox with settings such as `TIME_SCALE=0.01`."""
    with ExitStack() as stack:
        yield lambda **settings: _started(stack, tmp_path, settings)


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """One sandbox for all tests that need nothing special of it."""
    with ExitStack() as stack:
        yield _started(stack, tmp_path_factory.mktemp("sandbox"), {})


@pytest.fixture
def sandbox(shared_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """Lend the shared sandbox without any faults."""
    yield shared_sandbox
    shared_sandbox.client.delete("/sandbox/faults")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Lend a receiver on loopback."""
    receiver = Receiver("")
    receiver.answering.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = httpx.Response(200, content=self.rfile.read(length)).json()
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = receiver.statuses.pop(0) if receiver.statuses else 200
            receiver.webhooks.append(Webhook(headers, body))
            receiver.answering.wait(PATIENCE)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing: a test's output is its failures."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/webhooks"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield receiver
        receiver.answering.set()
        server.shutdown()
        thread.join()
