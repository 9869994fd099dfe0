"""The programs of the client's page run as they are printed."""

import contextlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest
from PIL import Image

from fluxrelay import FluxRelay
from stack.servers.environment import child_environment
from stack.servers.ports import Ports
from stack.stack import Stack
from tests.callback_kinds import assert_every_kind_is_taken
from tests.conftest import Eventually
from tests.doc_pages import ROOT, blocks, page

TEXT: Final = page("client/README.md")
PROGRAMS: Final = blocks(TEXT, "python")
RECEIVER: Final = next(program for program in PROGRAMS if "serve_forever" in program)


@contextlib.contextmanager
def running(program: str, relay: Stack, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Run a program of the page in a folder, with the client to import."""
    (folder / "program.py").write_text(program, encoding="utf-8")
    variables = {
        "FLUXRELAY_URL": relay.service_url,
        "FLUXRELAY_KEY": relay.api_key,
        "PYTHONPATH": str(ROOT / "client"),
    }
    process = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=folder,
        env=child_environment(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("program", [each for each in PROGRAMS if each is not RECEIVER])
def test_a_program_runs(program: str, relay: Stack, tmp_path: Path) -> None:
    """Every program of the page ends well, and prints something."""
    Image.effect_noise((320, 288), 80).save(tmp_path / "lake.png")

    with running(program, relay, tmp_path) as process:
        out, err = process.communicate(timeout=120)

    assert (process.returncode, err) == (0, "")
    assert out


def test_the_receiver(relay: Stack, tmp_path: Path, eventually: Eventually) -> None:
    """The receiver of the page takes callbacks of each kind, and refuses a forgery."""
    with Ports() as ports:
        port = ports.take()
        program = RECEIVER.replace("9000", str(port))
        url = f"http://127.0.0.1:{port}/done"

        def refused() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.post(url, content=b"{}", trust_env=False).status_code == 401
            return False

        with running(program, relay, tmp_path) as process:
            eventually(refused)
            with FluxRelay(relay.service_url, relay.api_key) as client:
                job = client.jobs.create("flux-pro-1.1", {"prompt": "a fox"}, callback={"url": url})
            assert process.stdout is not None
            assert process.stdout.readline() == f"job.succeeded {job.id}\n"
            assert_every_kind_is_taken(relay, url, eventually)


def methods() -> dict[str, Callable[..., object]]:
    """Return the methods of the client, by the names that the page gives them."""
    found: dict[str, Callable[..., object]] = {
        "events": FluxRelay.events,
        "request": FluxRelay.request,
    }
    with FluxRelay("http://relay.example", "a-key") as client:
        for kind in ("jobs", "batches", "callbacks", "dead_letters", "models"):
            resource = getattr(client, kind)
            names = (name for name in dir(type(resource)) if not name.startswith("_"))
            found |= {f"{kind}.{name}": getattr(resource, name) for name in names}
    return found


def test_every_method_is_named() -> None:
    """The table names every method of the client."""
    assert {name for name in methods() if f"`{name}(" not in TEXT} == set()


def test_every_argument_is_named() -> None:
    """What a method takes stands in its row, or in its row of the table of arguments."""
    rows = [row for row in TEXT.splitlines() if row.startswith("| `")]
    for name, method in methods().items():
        own = " ".join(row for row in rows if re.search(rf"`{name}\b", row.split(" | ")[0]))
        if f"{name}`" in own and "the same, without" in own:
            own += next(row for row in rows if row.startswith("| `jobs.list`"))
        taken = inspect.signature(method).parameters.keys() - {"self", "limit", "cursor"}
        missing = {one for one in taken if not re.search(rf"\b{one}\b", own)}
        assert not missing, name
