"""The whole product with fake services in place of the provider, and what scenarios ask of it."""

import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from shutil import disk_usage
from typing import Any, Self

import httpx

from benchmarks.probes import http_wire, load_generator, subprocesses
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
_LOOK_SECONDS = 0.1
_POSTING = 8  # connections that jobs are posted over


class Deployment:
    """A started product; `with Deployment() as deployment`.

    Args:
        slots: Active tasks allowed.
        concurrency: Tasks that one worker process runs at a time.
        workers: How many processes of each role.
        storage_in_memory: Keep the S3 server's data in memory if there is room: S3 rarely shares a
            disk with Redis, whose fsyncs would wait for it.
    """

    def __init__(
        self,
        *,
        slots: int = 24,
        concurrency: int = 24,
        workers: Mapping[str, int] = ONE_EACH,
        storage_in_memory: bool = False,
    ) -> None:
        self._variables = {
            "FLUXRELAY_RESULT_HOSTS": LOOPBACK,
            "FLUXRELAY_SLOTS": str(slots),
            "FLUXRELAY_WORKER_CONCURRENCY": str(concurrency),
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

    def order(self, prompt: str, *, callback: bool = True) -> dict[str, Any]:
        """Return what a load generator needs to post such a job."""
        body: dict[str, Any] = {"model": "flux-pro-1.1", "input": {"prompt": prompt}}
        if callback:
            body["callback"] = {"url": f"{self.fake_url}/callbacks"}
        return {
            "port": self.port,
            "method": "POST",
            "path": "/v1/jobs",
            "headers": {"authorization": f"Bearer {self.stack.api_key}"},
            "body": json.dumps(body),
        }

    def post(self, count: int, prompt: str, *, callback: bool = True) -> list[str]:
        """Post jobs and return their ids.

        Raises:
            ValueError: One was refused.
        """
        order = self.order(prompt, callback=callback)
        raw = http_wire.request(
            "POST", order["path"], f"{LOOPBACK}:{self.port}", order["body"].encode(),
            **order["headers"],
        )  # fmt: skip
        seen = load_generator.drive(self.port, (raw for _ in range(count)), _POSTING)
        if any(exchange.status != 202 for exchange in seen):
            raise ValueError(f"a job was refused: {seen[-1].body[:500]!r}")
        return [json.loads(exchange.body)["id"] for exchange in seen]

    def wait_ended(self, jobs: list[str], seconds: float, *, told: bool = True) -> None:
        """Wait until all these jobs succeeded, and until their callbacks came if `told`.

        Raises:
            TimeoutError: They did not in time.
            ValueError: One failed.
        """
        left, give_up_at = list(jobs), time.monotonic() + seconds
        while left:
            last = [self.redis.hmget(f"job:{job}", "status", "callback_state") for job in left[-1:]]
            if _ended(*last[0], told=told):
                left.pop()
            elif last[0][0] == "failed":
                raise ValueError(f"job {left[-1]} failed: {self.redis.hgetall(f'job:{left[-1]}')}")
            elif time.monotonic() > give_up_at:
                raise TimeoutError(f"{len(left)} of {len(jobs)} jobs did not end in {seconds:g} s")
            else:
                time.sleep(_LOOK_SECONDS)

    def timelines(self, jobs: list[str]) -> list[dict[str, float]]:
        """Return when each job reached each status, in Unix seconds."""
        pipeline = self.redis.pipeline(transaction=False)
        for job in jobs:
            pipeline.hget(f"job:{job}", "timeline")
        steps = [dict(entry.split("=") for entry in line.split(";")) for line in pipeline.execute()]
        return [{status: float(at) for status, at in step.items()} for step in steps]

    def stored_at(self, jobs: list[str]) -> list[float]:
        """Return when the PUT of each job's image was answered, which its manifest says."""
        pipeline = self.redis.pipeline(transaction=False)
        for job in jobs:
            pipeline.hget(f"job:{job}", "image")
        keys = [f"{json.loads(image)['key']}.json" for image in pipeline.execute()]
        s3, bucket = self.stack.s3(), self.stack.bucket
        manifests = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
        return [float(json.loads(manifest)["stored_at"]) for manifest in manifests]

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


def _ended(status: Any, callback: Any, *, told: bool) -> bool:
    return status == "succeeded" and (not told or callback != "pending")
