"""The programs of the page that leads from a polling loop to FluxRelay run as they are printed."""

import difflib
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx
import pytest
from PIL import Image

from stack.servers.environment import child_environment
from stack.servers.ports import LOOPBACK, Ports
from stack.servers.process import ManagedProcess
from stack.stack import Stack
from tests.callback_kinds import assert_every_kind_is_taken
from tests.conftest import Eventually
from tests.doc_pages import ROOT, blocks, page

PROGRAMS: Final = {
    block.splitlines()[0].removeprefix("# "): block
    for block in blocks(page("docs/from-polling.md"), "python")
}


def written(name: str, addresses: Mapping[str, str], folder: Path) -> None:
    """Write a program of the page into a folder.

    Args:
        name: Its name, which is its first line.
        addresses: What its addresses are replaced by.
        folder: The folder.
    """
    source = PROGRAMS[name]
    for shown, real in addresses.items():
        assert shown in source
        source = source.replace(shown, real)
    (folder / name).write_text(source, encoding="utf-8")


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a program, which finds the client."""
    return child_environment({**variables, "PYTHONPATH": str(ROOT / "client")})


def account(relay: Stack) -> dict[str, str]:
    """Return the variables with the address and the key, as the page names them."""
    return {"FLUXRELAY_URL": relay.service_url, "FLUXRELAY_KEY": relay.api_key}


def run(name: str, addresses: Mapping[str, str], folder: Path, **variables: str) -> None:
    """Run a program of the page in a folder, to its end."""
    written(name, addresses, folder)
    done = subprocess.run(
        [sys.executable, name],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def assert_fox(folder: Path) -> None:
    """Check that the program saved the image that it asked for."""
    with Image.open(folder / "fox.jpg") as image:
        assert image.size == (1024, 768)


@pytest.fixture
def done(relay: Stack, ports: Ports, tmp_path: Path) -> Iterator[tuple[str, ManagedProcess]]:
    """Run the page's receiver; return its URL and its process."""
    port = ports.take()
    written("done.py", {"9000": str(port)}, tmp_path)
    process = ManagedProcess(
        "done",
        [sys.executable, "done.py"],
        environment=environment(**account(relay)),
        log=tmp_path / "log",
        directory=tmp_path,
        probe=lambda _process: is_listening(port),
    )
    try:
        process.start()
        process.wait_ready()
        yield f"http://{LOOPBACK}:{port}/done", process
    finally:
        process.stop()


def is_listening(port: int) -> bool:
    """Return whether a server listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def test_the_loop(relay: Stack, tmp_path: Path) -> None:
    """The program that polls the provider saves the image, at the sandbox."""
    address = {"https://api.bfl.ai": str(relay.sandbox_url)}
    run("polling.py", address, tmp_path, BFL_API_KEY=relay.credentials.provider_key)
    assert_fox(tmp_path)


def test_another_address(relay: Stack, tmp_path: Path) -> None:
    """The same program saves the image with FluxRelay's address; two lines of it differ."""
    run("relayed.py", {}, tmp_path, **account(relay))
    assert_fox(tmp_path)

    before, after = (PROGRAMS[name].splitlines()[1:] for name in ("polling.py", "relayed.py"))
    changed = [line for line in difflib.ndiff(before, after) if line.startswith("+ ")]
    assert changed == [
        '+ API = os.environ["FLUXRELAY_URL"]',
        '+ KEY = {"x-key": os.environ["FLUXRELAY_KEY"]}',
    ]


def test_no_loop(relay: Stack, tmp_path: Path) -> None:
    """The program with the client waits for the image and saves it."""
    run("client.py", {}, tmp_path, **account(relay))
    assert_fox(tmp_path)


def test_no_waiting(
    relay: Stack, done: tuple[str, ManagedProcess], eventually: Eventually, tmp_path: Path
) -> None:
    """The last program creates one job, however often it is run; the receiver tells its image."""
    url, receiver = done
    for _ in range(2):
        run("submit.py", {"https://app.example/done": url}, tmp_path, **account(relay))

    told = f"succeeded s3://{relay.bucket}/orders/1042.jpg\n"
    eventually(lambda: told in receiver.output())
    assert relay.s3().head_object(Bucket=relay.bucket, Key="orders/1042.jpg")["ContentLength"]
    assert receiver.output().count("succeeded") == 1


@pytest.mark.parametrize("name", ["client.py", "submit.py"])
def test_it_takes_ten_lines(name: str) -> None:
    """Besides their imports, both have ten lines at most, as the page's title says."""
    lines = PROGRAMS[name].splitlines()
    own = [line for line in lines if line and not line.startswith(("#", "import", "from"))]
    assert len(own) <= 10


def test_the_receiver_takes_every_kind_of_callback(
    relay: Stack, done: tuple[str, ManagedProcess], eventually: Eventually
) -> None:
    """Samples and the callback of a batch are taken as well; only what is of a job is told."""
    url, receiver = done
    assert_every_kind_is_taken(relay, url, eventually)
    assert "Traceback" not in receiver.output()


def test_the_receiver_refuses_a_forgery(done: tuple[str, ManagedProcess]) -> None:
    """What was not signed is a 401."""
    answer = httpx.post(done[0], json={"type": "job.succeeded"}, trust_env=False, timeout=60)
    assert answer.status_code == httpx.codes.UNAUTHORIZED
