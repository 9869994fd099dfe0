"""The sandbox, the service and the workers: their environment and their readiness probes."""

import http.client
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from stack.servers.environment import child_environment
from stack.servers.ports import LOOPBACK
from stack.servers.process import ManagedProcess

#: The workers' roles, in the order of a job's steps.
ROLES: Final = ("submit", "collect", "notify", "sweep")

#: The folder of `service` and the other packages.
SOURCE_ROOT: Final = Path(__file__).resolve().parents[2]

_READY_EVENT = '"worker.ready"'
_PROBE_SECONDS = 1.0


def sandbox_process(
    port: int, *, api_key: str, variables: Mapping[str, str], directory: Path, logs: Path
) -> ManagedProcess:
    """Return the sandbox's process; `variables` override the defaults."""
    environment = {
        "SANDBOX_HOST": LOOPBACK,
        "SANDBOX_PORT": str(port),
        "SANDBOX_PUBLIC_URL": f"http://{LOOPBACK}:{port}",
        "SANDBOX_API_KEYS": api_key,
        "SANDBOX_LEDGER": str(directory / "ledger.jsonl"),
        **variables,
    }
    return _python("sandbox", ["sandbox"], environment, logs, _answers(port, "/sandbox/healthz"))


def service_process(port: int, *, variables: Mapping[str, str], logs: Path) -> ManagedProcess:
    """Return the public HTTP process."""
    environment = {"FLUXRELAY_HOST": LOOPBACK, "FLUXRELAY_PORT": str(port), **variables}
    return _python("service", ["service"], environment, logs, _answers(port, "/readyz"))


def worker_process(
    role: str, number: int, *, variables: Mapping[str, str], logs: Path
) -> ManagedProcess:
    """Return a worker process; the first of a role has no number in its name."""
    name = f"worker.{role}" if number == 1 else f"worker.{role}.{number}"
    return _python(name, ["worker", role], variables, logs, _says_ready)


def _python(
    name: str,
    arguments: list[str],
    variables: Mapping[str, str],
    logs: Path,
    probe: Callable[[ManagedProcess], bool],
) -> ManagedProcess:
    return ManagedProcess(
        name,
        [sys.executable, "-m", *arguments],
        environment=child_environment(variables),
        log=logs / f"{name}.log",
        directory=SOURCE_ROOT,
        probe=probe,
    )


def _answers(port: int, path: str) -> Callable[[ManagedProcess], bool]:
    def probe(_process: ManagedProcess) -> bool:
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_PROBE_SECONDS)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


def _says_ready(process: ManagedProcess) -> bool:
    return _READY_EVENT in process.output()
