"""`submit` and `batch` whose answer never came: what was sent may have been accepted."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fluxrelay.cli.exits import Exit
from tests.cli.conftest import Cli
from tests.cli.test_batches import INTERRUPTIBLE, ROOT
from tests.client.scripted_service import ScriptedService, refuses, says
from tests.conftest import Eventually
from tests.contract.scripted_server import Script, Wire

_MODEL: dict[str, object] = {
    "name": "drawing",
    "parameters": {"prompt": {"kind": "text", "required": False}},
    "variant_field": None,
    "variants": [],
}
MODELS = says(200, {"models": [_MODEL]})
SUBMIT = ("submit", "A fox", "-m", "drawing")
BATCH = ("batch", "items.ndjson", "-m", "drawing", "--new")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ScriptedService]:
    """Run a service that answers as a test tells it to, beside a file of items."""
    item = {"custom_id": "one", "input": {"prompt": "A fox"}}
    (tmp_path / "items.ndjson").write_text(json.dumps(item), encoding="utf-8")
    with ScriptedService() as scripted:
        yield scripted


def key_of(service: ScriptedService) -> str:
    """Return the idempotency key that the service was sent last."""
    return service.requests[-1].headers["idempotency-key"]


@pytest.mark.parametrize("command", [SUBMIT, BATCH], ids=["submit", "batch"])
def test_ctrl_c_before_the_answer_leaves_the_key(
    service: ScriptedService, tmp_path: Path, eventually: Eventually, command: tuple[str, ...]
) -> None:
    """With it, the same command finds what was made, where else it would be paid for twice."""
    service.says(MODELS, Wire.stall)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "client"), "FLUXRELAY_KEY": "a-key"}
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, *command],
        cwd=tmp_path,
        env={**environment, "FLUXRELAY_URL": service.url},
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: len(service.requests) == 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == Exit.INTERRUPTED
    assert "may have been accepted" in errors
    assert f"--idempotency-key {key_of(service)}\n" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("command", [SUBMIT, BATCH], ids=["submit", "batch"])
@pytest.mark.parametrize(
    "refusal",
    [refuses(503, "stopped", "retry-after: 3600"), refuses(500, "internal")],
    ids=["503", "500"],
)
def test_an_answer_that_says_nothing_leaves_the_key(
    bare: Cli, service: ScriptedService, command: tuple[str, ...], refusal: Script
) -> None:
    """A service that was stopped may have accepted it; the key that was given is named as well."""
    address = {"FLUXRELAY_URL": service.url, "FLUXRELAY_KEY": "a-key"}
    service.says(MODELS, refusal)
    done = bare(*command, **address)
    assert (done.code, done.out) == (Exit.UNREACHABLE, "")
    (key,) = re.findall(r"--idempotency-key (\S+)", done.err)
    assert key == key_of(service)

    service.says(MODELS, refusal)
    again = bare(*(one for one in command if one != "--new"), "--idempotency-key", key, **address)
    assert (key_of(service), key in again.err) == (key, True)


@pytest.mark.parametrize("command", [SUBMIT, BATCH], ids=["submit", "batch"])
def test_what_was_refused_needs_no_key(
    bare: Cli, service: ScriptedService, command: tuple[str, ...]
) -> None:
    """Nothing can have been accepted then."""
    service.says(MODELS, refuses(422, "invalid-fields"))
    done = bare(*command, FLUXRELAY_URL=service.url, FLUXRELAY_KEY="a-key")
    assert (done.code, "--idempotency-key" in done.err) == (Exit.USAGE, False)
