"""The command line before the running product, in this process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from fluxrelay.cli.app import run
from stack.stack import Stack

#: A small picture of a model that is quick in the sandbox.
SMALL = ("-m", "flux-pro-1.1", "-p", "width=256", "-p", "height=256")


@dataclass(frozen=True)
class Done:
    """How a run of a command ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Done]


@pytest.fixture
def bare(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Cli:
    """Return a function that runs a command without any settings but those it is given."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str, **variables: str) -> Done:
        capsys.readouterr()
        with monkeypatch.context() as patched:
            for name in ("URL", "KEY", "PROFILE", "MODEL", "CALLBACK_SECRET", "CONFIG"):
                patched.delenv(f"FLUXRELAY_{name}", raising=False)
            patched.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
            for name, value in variables.items():
                patched.setenv(name, value)
            code = run(arguments)
        return Done(code, *capsys.readouterr())

    return command


@pytest.fixture
def cli(bare: Cli, relay: Stack) -> Cli:
    """Return a function that runs a command with the address and the key of the product."""

    def command(*arguments: str, **variables: str) -> Done:
        known = {"FLUXRELAY_URL": relay.service_url, "FLUXRELAY_KEY": relay.api_key}
        return bare(*arguments, **(known | variables))

    return command


@pytest.fixture
def paused(relay: Stack) -> Iterator[Callable[[], None]]:
    """Let the account rest, so that new jobs stay queued; return what ends the rest."""
    connection: redis.Redis = relay.redis()
    connection.set("pool:default:paused", "a test", ex=60)

    def go_on() -> None:
        connection.delete("pool:default:paused")

    yield go_on
    go_on()
    connection.close()


@pytest.fixture
def faults(relay: Stack) -> Iterator[Callable[..., None]]:
    """Return a function that puts faults of the provider in force; they are cleared afterwards."""
    with httpx.Client(base_url=str(relay.sandbox_url), timeout=60, trust_env=False) as sandbox:

        def put(**named: Any) -> None:
            sandbox.post("/sandbox/faults", json=named).raise_for_status()

        yield put
        sandbox.delete("/sandbox/faults").raise_for_status()
