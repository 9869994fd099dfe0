"""Helpers of the benchmarks that run in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stack.servers.environment import child_environment
from stack.servers.fluxrelay import SOURCE_ROOT
from stack.servers.ports import is_free
from stack.servers.process import ManagedProcess


class ChildFailedError(Exception):
    """A child ended badly; holds what it wrote last."""


def ask(
    module: str,
    order: Mapping[str, Any],
    *,
    timeout: float,
    python: str = sys.executable,
    environment: Mapping[str, str] | None = None,
) -> Any:
    """Run a module (or a script) with an order on its input; return the JSON it writes.

    Raises:
        ChildFailedError: It ended badly, or took longer than `timeout` seconds.
    """
    how = [module] if module.endswith(".py") else ["-m", module]
    try:
        done = subprocess.run(
            [python, *how],
            input=json.dumps(order) + "\n",
            env=child_environment(environment or {}),
            cwd=SOURCE_ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ChildFailedError(f"{module} took longer than {timeout:g} s") from error
    if done.returncode:
        raise ChildFailedError(f"{module} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def server(name: str, arguments: Sequence[str], port: int, log: Path) -> ManagedProcess:
    """Return a server of ours that is ready once its port is taken."""
    return process(name, arguments, log, listens(port))


def listens(port: int) -> Callable[[ManagedProcess], bool]:
    """Return a probe that says whether a server has its port."""
    return lambda _process: not is_free(port)


def process(
    name: str,
    arguments: Sequence[str],
    log: Path,
    probe: Callable[[ManagedProcess], bool],
    environment: Mapping[str, str] | None = None,
) -> ManagedProcess:
    """Return a Python process of ours; it dies with this one."""
    return ManagedProcess(
        name,
        [sys.executable, "-m", *arguments],
        environment=child_environment({}) if environment is None else environment,
        log=log,
        directory=SOURCE_ROOT,
        probe=probe,
    )
