"""The whole product with fake services in place of the provider, and what scenarios ask of it."""

import json
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from shutil import disk_usage
from typing import Any, Self

import httpx

from benchmarks.probes import subprocesses
from benchmarks.product.jobs import Jobs
from stack.options import RealProvider, StackOptions
from stack.servers.fluxrelay import ROLES, worker_process
from stack.servers.ports import LOOPBACK, Ports
from stack.servers.process import ManagedProcess
from stack.stack import Stack

#: One process of each role.
ONE_EACH: Mapping[str, int] = dict.fromkeys(ROLES, 1)
NO_WORKERS: Mapping[str, int] = {}
#: A file system in memory, and the bytes that must be free there.
_MEMORY, _ROOM = Path("/dev/shm"), 8 * 1024**3  # noqa: S108 - a folder of our own is made in it
_IMAGE, _VIDEO = "flux-pro-1.1", "flux-tools/video-upscale-v1"
_PIECE = 1024 * 1024  # bytes


class Deployment:
    """A started product; `with Deployment() as deployment`.

    Args:
        slots: Active tasks allowed.
        concurrency: Tasks that one worker process runs at a time.
        workers: How many processes of each role.
        variables: Further settings.
        storage_in_memory: Keep the S3 server's data in memory if there is room: S3 rarely shares a
            disk with Redis, whose fsyncs would wait for it.
    """

    def __init__(
        self,
        *,
        slots: int = 24,
        concurrency: int = 24,
        workers: Mapping[str, int] = ONE_EACH,
        variables: Mapping[str, str] | None = None,
        storage_in_memory: bool = False,
    ) -> None:
        self._variables = {
            "FLUXRELAY_RESULT_HOSTS": LOOPBACK,
            "FLUXRELAY_SLOTS": str(slots),
            "FLUXRELAY_WORKER_CONCURRENCY": str(concurrency),
            **(variables or {}),
        }
        self._workers = workers
        self._storage_in_memory = storage_in_memory
        self._open = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._open.close()

    def _start(self) -> None:
        ports = self._open.enter_context(Ports())
        self.folder = Path(self._open.enter_context(tempfile.TemporaryDirectory("-bench")))
        self.fake_port, self.port = ports.take(), ports.take()
        self.fake_url = f"http://{LOOPBACK}:{self.fake_port}"
        fake = subprocesses.server(
            "fake-services",
            ["benchmarks.product.fake_services", str(self.fake_port), str(self.folder)],
            self.fake_port,
            self.folder / "fake-services.log",
        )
        self._open.callback(fake.stop)
        fake.start()
        fake.wait_ready()
        service_url = f"http://{LOOPBACK}:{self.port}"
        options = StackOptions(
            port=self.port,
            provider=RealProvider(self.fake_url, service_url, "a-key-for-benchmarks"),
            workers=self._workers,
            relay_variables=self._variables,
            storage_folder=self._storage_folder(),
        )
        self.stack = self._open.enter_context(Stack(options))
        self.redis = self.stack.redis()
        self._open.callback(self.redis.close)
        self._s3 = self.stack.s3()
        self._open.callback(self._s3.close)
        self._jobs = Jobs(self.stack.service_url, self.stack.api_key, self.redis)

    def _storage_folder(self) -> Path | None:
        if not self._storage_in_memory or not _MEMORY.is_dir() or disk_usage(_MEMORY).free < _ROOM:
            return None
        folder = tempfile.TemporaryDirectory("-bench", dir=_MEMORY, ignore_cleanup_errors=True)
        return Path(self._open.enter_context(folder))

    @property
    def environment(self) -> Mapping[str, str]:
        """What every process of ours is started with."""
        return self.stack.processes["service"].environment

    @property
    def ours(self) -> dict[str, int]:
        """The process ids of the service and the workers."""
        processes = self.stack.processes.items()
        return {
            name: process.pid
            for name, process in processes
            if name.startswith(("service", "worker.")) and process.is_alive
        }

    def worker(self, role: str, number: int = 1) -> ManagedProcess:
        """Return one more worker process; whoever asks for it starts it, and it is stopped here."""
        logs = self.stack.directory / "logs"
        process = worker_process(role, number, variables=self.environment, logs=logs)
        self._open.callback(process.stop)
        return process

    def adopt(self, process: ManagedProcess) -> None:
        """Stop this process, too, at the end."""
        self._open.callback(process.stop)

    def _body(self, prompt: str, *, callback: bool, video: bool) -> dict[str, Any]:
        body: dict[str, Any] = {"model": _IMAGE, "input": {"prompt": prompt}}
        if video:
            body["model"] = _VIDEO
            body["input"]["input_video"] = f"{self.fake_url}/short.mp4"
        if callback:
            body["callback"] = {"url": f"{self.fake_url}/callbacks"}
        return body

    def order(self, prompt: str, *, callback: bool = True) -> dict[str, Any]:
        """Return what a load generator needs to post such a job."""
        return self._jobs.order(self._body(prompt, callback=callback, video=False))

    def post(
        self, count: int, prompt: str, *, callback: bool = True, video: bool = False
    ) -> list[str]:
        """Post jobs for images, or for videos, and return their ids.

        Raises:
            ValueError: One was refused.
        """
        body = self._body(prompt, callback=callback, video=video)
        return [job["id"] for job in self._jobs.post([body] * count)]

    def wait_ended(self, jobs: list[str], seconds: float, *, told: bool = True) -> None:
        """Wait until all these jobs succeeded, and until their callbacks came if `told`.

        Raises:
            TimeoutError: They did not in time.
            ValueError: One failed.
        """
        self._jobs.wait_ended(jobs, seconds, told=told)

    def timelines(self, jobs: list[str]) -> list[dict[str, float]]:
        """Return when each job reached each status, in Unix seconds."""
        return self._jobs.timelines(jobs)

    def stored_at(self, jobs: list[str]) -> list[float]:
        """Return when the PUT of each job's file was answered, which its manifest says."""
        manifests = [self._stored(f"{key}.json").read() for key in self._keys(jobs)]
        return [float(json.loads(manifest)["stored_at"]) for manifest in manifests]

    def stored_digests(self, jobs: list[str]) -> list[str]:
        """Return the SHA-256 of each job's file, as it is read back from the bucket."""
        found = []
        for key in self._keys(jobs):
            digest = sha256()
            for piece in self._stored(key).iter_chunks(_PIECE):
                digest.update(piece)
            found.append(digest.hexdigest())
        return found

    def _keys(self, jobs: list[str]) -> list[str]:
        pipeline = self.redis.pipeline(transaction=False)
        for job in jobs:
            pipeline.hmget(f"job:{job}", "image", "artifacts")
        # A result that is more than one image is recorded as a list.
        first = [json.loads(i) if i else json.loads(a)[0] for i, a in pipeline.execute()]
        return [artifact["key"] for artifact in first]

    def _stored(self, key: str) -> Any:
        return self._s3.get_object(Bucket=self.stack.bucket, Key=key)["Body"]

    def books(self) -> dict[str, Any]:
        """Return what the fake services saw."""
        return self._far("books")

    def forget(self) -> None:
        """Reset the counters of the fake services."""
        self._far("reset")

    def _far(self, what: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.fake_url}/fake/{what}", timeout=10, trust_env=False)
        body: dict[str, Any] = answer.json()
        return body
