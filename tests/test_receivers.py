"""The receivers of callbacks that the pages print run as they are printed."""

import json
import re
import shlex
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from core.security.signatures import callback_secret, sign_callback
from service.openapi.webhooks import webhooks
from stack.servers.environment import child_environment
from stack.servers.ports import LOOPBACK, Ports
from stack.servers.process import ManagedProcess
from stack.stack import Stack
from tests.conftest import Eventually
from tests.doc_pages import blocks, page

PAGE: Final = page("docs/receivers.md")
#: The programs of the page by their names, which stand in their first lines.
PROGRAMS: Final = {
    block.splitlines()[0].removeprefix("# "): block for block in blocks(PAGE, "python")
}
#: Modules of the frameworks, by which the page's commands begin.
COMMANDS: Final = {
    command.split(maxsplit=1)[0]: command
    for block in blocks(PAGE, "sh")
    for command in block.splitlines()
    if command.startswith(("flask", "uvicorn"))
}
SECRET: Final = callback_secret("a-master-secret-that-is-long-enough", "demo")
OTHER_SECRET: Final = callback_secret("a-master-secret-that-is-long-enough", "other")
BODY: Final = b'{"type": "job.failed", "data": {"id": "1"}}'
#: More than a callback has, whose job may have an input of 1 MiB.
LARGE_BODY: Final = BODY[:-2] + b', "pad": "' + b"x" * 1_200_000 + b'"}}'
#: An event of each type that is sent, as the OpenAPI document shows it, and one of a later version.
EVENTS: Final[dict[str, Any]] = {
    kind: one["post"]["requestBody"]["content"]["application/json"]["example"]
    for kind, one in webhooks().items()
} | {"account.paused": {"type": "account.paused", "data": {}}}


@dataclass(frozen=True)
class Receiver:
    """A receiver that runs.

    Attributes:
        url: Where it takes callbacks.
        secret: The secret that it knows.
        folder: The folder of its program and of its inbox.
    """

    url: str
    secret: str
    folder: Path

    def inbox(self) -> list[tuple[str, str]]:
        """Return the ids and bodies of what it has stored."""
        if not (self.folder / "inbox.db").exists():
            return []
        with closing(sqlite3.connect(self.folder / "inbox.db")) as inbox:
            return inbox.execute("SELECT id, body FROM callbacks").fetchall()


@contextmanager
def _running(command: str, secret: str, folder: Path, ports: Ports) -> Iterator[Receiver]:
    """Run a command of the page on a free port, with the page's programs in its folder."""
    for name, source in PROGRAMS.items():
        (folder / name).write_text(source, encoding="utf-8")
    port = ports.take()
    process = ManagedProcess(
        command.split(maxsplit=1)[0],
        [sys.executable, "-m", *shlex.split(command.replace("9000", str(port)))],
        environment=child_environment({"CALLBACK_SECRET": secret}),
        log=folder / "log",
        directory=folder,
        probe=lambda _process: _listens(port),
    )
    try:
        process.start()
        process.wait_ready()
        yield Receiver(f"http://{LOOPBACK}:{port}/done", secret, folder)
    finally:
        process.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@contextmanager
def _readme(_command: str, secret: str, folder: Path, _ports: Ports) -> Iterator[Receiver]:
    """Run the receiver of the README, which stores nothing."""
    (source,) = [one for one in blocks(page("README.md"), "python") if "class Receiver" in one]
    namespace: dict[str, Any] = {"__name__": "receiver"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALLBACK_SECRET", secret)
        exec(compile(source, "README.md", "exec"), namespace)  # noqa: S102 - it is our own page
    handler: type[BaseHTTPRequestHandler] = namespace["Receiver"]
    with HTTPServer((LOOPBACK, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Receiver(f"http://{LOOPBACK}:{server.server_port}/done", secret, folder)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module", params=["flask", "uvicorn", "the README"])
def receiver(
    request: pytest.FixtureRequest, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Receiver]:
    """Run each receiver with a secret of a test."""
    run = _readme if request.param == "the README" else _running
    folder = tmp_path_factory.mktemp("receiver")
    with run(COMMANDS.get(request.param, ""), SECRET, folder, ports) as running:
        yield running


def headers(secret: str, body: bytes, *, at: float | None = None) -> dict[str, str]:
    """Return the headers of a callback, signed with a secret."""
    stamp = int(time.time() if at is None else at)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": sign_callback([secret], "msg_1", stamp, body),
        "content-type": "application/json",
    }


def _without(name: str) -> dict[str, str]:
    return {key: value for key, value in headers(SECRET, BODY).items() if key != name}


def _post(url: str, body: bytes, given: Any) -> int:
    return httpx.post(url, content=body, headers=given, trust_env=False, timeout=60).status_code


#: What a forger, or a broken sender, may send: the body and the headers of each.
FORGERIES: Final[dict[str, Callable[[], tuple[bytes, Any]]]] = {
    "another body": lambda: (BODY + b" ", headers(SECRET, BODY)),
    "another secret": lambda: (BODY, headers(OTHER_SECRET, BODY)),
    "another id": lambda: (BODY, headers(SECRET, BODY) | {"webhook-id": "msg_2"}),
    "an old time": lambda: (BODY, headers(SECRET, BODY, at=time.time() - 3600)),
    "a time to come": lambda: (BODY, headers(SECRET, BODY, at=time.time() + 3600)),
    "no time": lambda: (BODY, headers(SECRET, BODY) | {"webhook-timestamp": "soon"}),
    "no signature": lambda: (BODY, _without("webhook-signature")),
    "no id": lambda: (BODY, _without("webhook-id")),
    "no headers": lambda: (BODY, {}),
    "no body": lambda: (b"", headers(SECRET, BODY)),
    "an empty signature": lambda: (BODY, headers(SECRET, BODY) | {"webhook-signature": ""}),
    "a signature without a version": lambda: (
        BODY,
        headers(SECRET, BODY) | {"webhook-signature": "abc"},
    ),
    "a signature that is no base64": lambda: (
        BODY,
        headers(SECRET, BODY) | {"webhook-signature": "v1,a"},
    ),
    "a signature beyond ASCII": lambda: (
        BODY,
        [
            *((name, value.encode()) for name, value in _without("webhook-signature").items()),
            ("webhook-signature", b"v1,\xe9\xff"),
        ],
    ),
    "a body that is no text": lambda: (b"\xff\xfe", headers(SECRET, b"\xff\xfe")),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_refused(receiver: Receiver, forgery: str) -> None:
    """What was not signed with the secret, for this body and now, is a 401 and is not stored."""
    before = receiver.inbox()
    body, given = FORGERIES[forgery]()

    assert _post(receiver.url, body, given) == httpx.codes.UNAUTHORIZED
    assert receiver.inbox() == before


@pytest.mark.parametrize("body", [BODY, LARGE_BODY], ids=["small", "large"])
def test_a_signed_body_is_taken(receiver: Receiver, body: bytes) -> None:
    """A signed body is a 204, also as large as callbacks get and with a second signature."""
    given = headers(SECRET, body)
    given["webhook-signature"] = f"v1,{'A' * 43}= {given['webhook-signature']}"

    assert _post(receiver.url, body, given) == httpx.codes.NO_CONTENT


@pytest.mark.parametrize("kind", EVENTS)
def test_an_event_of_each_type_is_taken(receiver: Receiver, kind: str) -> None:
    """Whatever a signed event tells of, it is a 204: samples, batches and types to come, too."""
    body = json.dumps(EVENTS[kind]).encode()

    assert _post(receiver.url, body, headers(SECRET, body)) == httpx.codes.NO_CONTENT


@pytest.mark.parametrize("framework", COMMANDS)
def test_a_receiver_takes_a_real_callback_once(
    relay: Stack, framework: str, ports: Ports, eventually: Eventually, tmp_path: Path
) -> None:
    """A job's callback is delivered to it; sent again, it is delivered again and stored once."""
    key = {"authorization": f"Bearer {relay.api_key}"}
    with httpx.Client(
        base_url=relay.service_url, headers=key, trust_env=False, timeout=60
    ) as client:
        secret = client.get("/v1/callback-secret").json()["secret"]
        with _running(COMMANDS[framework], secret, tmp_path, ports) as receiver:
            body = {
                "model": "flux-pro-1.1",
                "input": {"prompt": "A red fox", "width": 256, "height": 256},
                "callback": {"url": receiver.url},
            }
            job = f"/v1/jobs/{client.post('/v1/jobs', json=body).raise_for_status().json()['id']}"
            for attempts in (1, 2):
                eventually(lambda: client.get(job).json()["callback"]["state"] == "delivered")
                assert client.get(job).json()["callback"]["attempts"] == attempts
                client.post(f"{job}/callback").raise_for_status()
            eventually(lambda: client.get(job).json()["callback"]["state"] == "delivered")
            ended = client.get(job).json()
            ((webhook_id, _stored),) = receiver.inbox()

    assert webhook_id == f"msg_{ended['id']}"
    assert _worked(tmp_path) == f"{ended['id']} {ended['image']['uri']}\n"
    assert _worked(tmp_path) == ""


def _worked(folder: Path) -> str:
    """Process the inbox as the page says; return what was printed."""
    done = subprocess.run(
        [sys.executable, "inbox.py"], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return what the page's inbox defines; its callbacks lie in a folder of the test."""
    monkeypatch.setenv("INBOX", str(tmp_path / "inbox.db"))
    (tmp_path / "inbox.py").write_text(PROGRAMS["inbox.py"], encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "inbox"}
    exec(compile(PROGRAMS["inbox.py"], "inbox.py", "exec"), namespace)  # noqa: S102 - it is our own page
    return namespace


def test_the_inbox_passes_over_what_is_not_of_a_job(inbox: dict[str, Any], tmp_path: Path) -> None:
    """Events of all types are processed once, and those of jobs alone are told."""
    for kind, event in EVENTS.items():
        inbox["keep"](f"msg_{kind}", json.dumps(event).encode())

    told = _worked(tmp_path).splitlines()

    of_jobs = [event["data"] for kind, event in EVENTS.items() if kind.startswith("job.")]
    assert [line.split()[0] for line in told] == [job["id"] for job in of_jobs]
    assert _worked(tmp_path) == ""


def test_one_event_that_fails_does_not_hold_up_the_others(inbox: dict[str, Any]) -> None:
    """What could not be processed stays for the next run, and all behind it is processed now."""
    for number in range(3):
        inbox["keep"](f"msg_{number}", json.dumps({"number": number}).encode())
    handled: list[int] = []

    def handle(event: Mapping[str, int]) -> None:
        handled.append(event["number"])
        if handled == [0]:
            raise ValueError("a bug that comes with the first event")

    inbox["work"](handle)
    assert handled == [0, 1, 2]
    inbox["work"](handle)
    assert handled == [0, 1, 2, 0]


def test_each_receiver_is_run() -> None:
    """Every program for Python on the page is one of those that the tests run."""
    run = {re.findall(r"receiver_\w+", command)[0] + ".py" for command in COMMANDS.values()}
    assert set(PROGRAMS) == run | {"inbox.py"}
