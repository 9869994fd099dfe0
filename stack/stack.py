"""The whole stack: Valkey, SeaweedFS, sandbox, service and workers, started in order."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import redis

from stack.options import StackOptions
from stack.servers.fluxrelay import sandbox_process, service_process, worker_process
from stack.servers.ports import LOOPBACK, Ports
from stack.servers.process import ManagedProcess, ProcessFailedError, stop_all, wait_all_ready
from stack.servers.seaweed import REGION, SeaweedFS
from stack.servers.valkey import Valkey

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_Part = TypeVar("_Part")

_BUCKET = "fluxrelay"
#: Another process may take a port between its choice and the server's start.
_START_ATTEMPTS = 3

_RELAY = ("service", "worker.")

#: Called for each process: when it is started (False) and when it is ready (True).
Observer = Callable[[ManagedProcess, bool], None]


def _nobody(_process: ManagedProcess, _ready: bool) -> None:
    return


class Stack:
    """The whole stack on one machine; `with Stack(options) as stack` starts and stops it.

    Args:
        options: Its options.
        observer: Called when a process starts and when it is ready.

    Attributes:
        bucket: The name of the bucket, once started.
        service_url: The service's address, once started.
        sandbox_url: The sandbox's address, once started; None with the real provider.
        processes: All processes by name, in start order.
        ports: The ports that were taken, by what listens on them.
    """

    def __init__(
        self, options: StackOptions | None = None, *, observer: Observer = _nobody
    ) -> None:
        self.options = options or StackOptions()
        self.credentials = self.options.credentials
        self.bucket = _BUCKET
        self.service_url = ""
        self.sandbox_url: str | None = None
        self.processes: dict[str, ManagedProcess] = {}
        self.ports: dict[str, int] = {}
        self._preferred = self.options.ports
        self._observer = observer
        self._directory: Path | None = None
        self._ports: Ports | None = None
        self._valkey: Valkey | None = None
        self._seaweed: SeaweedFS | None = None

    @property
    def directory(self) -> Path:
        """The folder for data and logs.

        Raises:
            RuntimeError: The stack is not started.
        """
        return _started(self._directory)

    @property
    def valkey(self) -> Valkey:
        """The Valkey server.

        Raises:
            RuntimeError: The stack is not started.
        """
        return _started(self._valkey)

    @property
    def seaweed(self) -> SeaweedFS:
        """The SeaweedFS server.

        Raises:
            RuntimeError: The stack is not started.
        """
        return _started(self._seaweed)

    @property
    def api_key(self) -> str:
        """The API key of the only caller, `demo`."""
        return self.credentials.api_key

    def s3(self) -> "S3Client":
        """Return a new S3 client with the bucket owner's credentials."""
        return self.seaweed.client()

    def redis(self) -> redis.Redis:
        """Return a new Redis client that decodes replies."""
        return self.valkey.client()

    def start(self) -> None:
        """Start everything and wait until all processes are ready.

        Raises:
            ProcessFailedError: A process did not get ready; all others are stopped again.
        """
        for attempts_left in reversed(range(_START_ATTEMPTS)):
            try:
                self._start_once()
            except ProcessFailedError as error:
                self.close()
                if not error.port_was_taken or not attempts_left:
                    raise
                self._preferred = {}
            except BaseException:
                self.close()
                raise
            else:
                return

    def close(self) -> None:
        """Stop everything in reverse order, and remove a temporary directory."""
        stop_all(p for name, p in self.processes.items() if name.startswith(_RELAY))
        stop_all(p for name, p in self.processes.items() if name == "sandbox")
        if self._valkey is not None:
            self._valkey.close()
        if self._seaweed is not None:
            self._seaweed.close()
        if self._ports is not None:
            self._ports.close()
        if self._directory is not None and self.options.directory is None:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._valkey = self._seaweed = self._ports = self._directory = None
        self.processes.clear()

    def log_tails(self, lines: int = 8) -> dict[str, str]:
        """Return the last log lines of each process, by name."""
        return {name: process.log_tail(lines) for name, process in self.processes.items()}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _start_once(self) -> None:
        self._directory = self.options.directory or Path(tempfile.mkdtemp(prefix="fluxrelay-"))
        self._directory = self._directory.absolute()
        (self._directory / "logs").mkdir(parents=True, exist_ok=True)
        self._ports = Ports()
        # First of all, or another server might get the one that is asked for again.
        port = self.options.port or self._port("service")
        self.ports["service"] = port
        self.service_url = f"http://{LOOPBACK}:{port}"
        self._launch(self._foundations())
        variables = self._relay_variables()
        logs = self.directory / "logs"
        relay = [service_process(port, variables=variables, logs=logs)]
        for role, count in self.options.workers.items():
            relay.extend(
                worker_process(role, number, variables=variables, logs=logs)
                for number in range(1, count + 1)
            )
        self._launch(relay)

    def _port(self, name: str) -> int:
        self.ports[name] = _started(self._ports).take(self._preferred.get(name))
        return self.ports[name]

    def _foundations(self) -> list[ManagedProcess]:
        directory = self.directory
        logs = directory / "logs"
        self._valkey = Valkey(
            self._port("valkey"),
            directory=directory / "valkey",
            log=logs / "valkey.log",
            password=self.credentials.redis_password,
        )
        processes = [self._valkey.process]
        if self.options.provider is None:
            port = self._port("sandbox")
            self.sandbox_url = f"http://{LOOPBACK}:{port}"
            processes.append(
                sandbox_process(
                    port,
                    api_key=self.credentials.provider_key,
                    variables=self.options.sandbox_variables,
                    directory=directory,
                    logs=logs,
                )
            )
        self._seaweed = SeaweedFS(
            _started(self._ports),
            bucket=_BUCKET,
            directory=directory / "seaweedfs",
            log=logs / "seaweedfs.log",
            data=self.options.storage_folder,
            keys=(self.credentials.s3_access_key, self.credentials.s3_secret_key),
            port=self._preferred.get("s3"),
        )
        self.ports["s3"] = self._seaweed.port
        return [self._seaweed.process, *processes]

    def _launch(self, processes: Sequence[ManagedProcess]) -> None:
        for process in processes:
            self.processes[process.name] = process
            process.start()
            self._observer(process, False)
        wait_all_ready(processes, lambda process: self._observer(process, True))

    def _relay_variables(self) -> dict[str, str]:
        provider = self.options.provider
        variables = {
            "FLUXRELAY_WEBHOOK_SECRET": self.credentials.webhook_secret,
            "FLUXRELAY_REDIS_URL": self.valkey.url,
            "FLUXRELAY_S3_BUCKET": self.bucket,
            "FLUXRELAY_API_KEYS": f"demo:{self.api_key}",
            "FLUXRELAY_CALLBACK_ALLOW_NETS": "127.0.0.0/8",
            # Less than the grace period of the stack's processes.
            "FLUXRELAY_WORKER_GRACE_SECONDS": "7",
            # There is no load balancer.
            "FLUXRELAY_DRAIN_SECONDS": "0",
            "AWS_ACCESS_KEY_ID": self.seaweed.access_key,
            "AWS_SECRET_ACCESS_KEY": self.seaweed.secret_key,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": self.seaweed.endpoint,
        }
        if provider is not None:
            variables["BFL_API_KEY"] = provider.api_key
            variables["FLUXRELAY_PROVIDER_URL"] = provider.url
            variables["FLUXRELAY_PUBLIC_URL"] = provider.public_url
        else:
            variables["BFL_API_KEY"] = self.credentials.provider_key
            variables["FLUXRELAY_PROVIDER_URL"] = _started(self.sandbox_url)
            variables["FLUXRELAY_RESULT_HOSTS"] = LOOPBACK
            if self.options.webhooks:
                variables["FLUXRELAY_PUBLIC_URL"] = self.service_url
        return {**variables, **self.options.relay_variables}


def _started(value: _Part | None) -> _Part:
    if value is None:
        raise RuntimeError("the stack is not started")
    return value
