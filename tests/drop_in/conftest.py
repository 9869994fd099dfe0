"""Clients of the provider's API that were given FluxRelay's address instead."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from stack.servers.fluxrelay import service_process
from stack.servers.ports import Ports
from stack.servers.process import ManagedProcess
from stack.stack import Stack
from tests.conftest import Eventually

MODEL = "flux-pro-1.1"
SMALL = {"width": 256, "height": 256}
OTHER_KEY = "another-tenants-key-0001"


@dataclass(frozen=True)
class Client:
    """Speaks the provider's API, as its documents describe it."""

    http: httpx.Client
    key: str | None
    eventually: Eventually

    def submit(
        self, body: object, /, model: str = MODEL, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """POST a task."""
        return self.http.post(f"/v1/{model}", json=body, headers=self.headers | (headers or {}))

    def submitted(self, prompt: str, /, **more: object) -> dict[str, Any]:
        """POST a task that must be taken."""
        answer = self.submit({"prompt": prompt, **SMALL, **more})
        assert answer.status_code == 200, answer.text
        task: dict[str, Any] = answer.json()
        return task

    def get(self, url: str, **headers: str) -> httpx.Response:
        """GET a URL or path, with the key."""
        return self.http.get(url, headers=self.headers | headers)

    def result(self, task_id: str) -> dict[str, Any]:
        """Ask for a task once."""
        answer = self.get(f"/v1/get_result?id={task_id}")
        assert answer.status_code == 200, answer.text
        task: dict[str, Any] = answer.json()
        return task

    def finished(self, task_id: str, seconds: float = 20) -> dict[str, Any]:
        """Ask until a task is no longer pending."""
        self.eventually(lambda: self.result(task_id)["status"] != "Pending", seconds)
        return self.result(task_id)

    @property
    def headers(self) -> dict[str, str]:
        """What each request carries."""
        return {} if self.key is None else {"x-key": self.key}


@dataclass(frozen=True)
class RqBookkeeping:
    """The sandbox's ledger and faults."""

    http: httpx.Client

    def made(self, job_id: str) -> dict[str, Any]:
        """Return the one task that the provider made for a job."""
        tasks = self.http.get("/sandbox/ledger").json()["tasks"]
        (task,) = [task for task in tasks if (task["webhook_url"] or "").endswith(job_id)]
        return dict(task)

    def digests(self) -> set[str]:
        """Return the SHA-256 (hex) of every image that was made."""
        return {task["sha256"] for task in self.http.get("/sandbox/ledger").json()["tasks"]}

    def faults(self, **faults: object) -> None:
        """Put faults in force instead of all others."""
        self.http.post("/sandbox/faults", json=faults).raise_for_status()


MakeClient = Callable[..., Client]
RunService = Callable[..., Any]


@pytest.fixture(scope="session")
def clients(relay: Stack, eventually: Eventually) -> Iterator[MakeClient]:
    """Return a function that makes a client of a service with a key."""
    opened: list[httpx.Client] = []

    def make(url: str | None = None, key: str | None = relay.api_key) -> Client:
        http = httpx.Client(base_url=url or relay.service_url, timeout=60, trust_env=False)
        opened.append(http)
        return Client(http, key, eventually)

    yield make
    for http in opened:
        http.close()


@pytest.fixture(scope="session")
def client(clients: MakeClient) -> Client:
    """Return a client of the product."""
    return clients()


@pytest.fixture
def books(relay: Stack) -> Iterator[RqBookkeeping]:
    """Return the sandbox's books; faults are cleared afterwards."""
    with httpx.Client(base_url=str(relay.sandbox_url), timeout=60, trust_env=False) as http:
        yield RqBookkeeping(http)
        http.delete("/sandbox/faults").raise_for_status()


@pytest.fixture
def redis_of(relay: Stack) -> Iterator["redis.Redis"]:
    """Return a client of the product's Redis."""
    connection = relay.redis()
    yield connection
    connection.close()


@pytest.fixture
def full_house(redis_of: "redis.Redis") -> Iterator[None]:
    """Let the account rest, so that new jobs wait."""
    redis_of.set("pool:default:paused", "a test", ex=60)
    yield
    redis_of.delete("pool:default:paused")


@pytest.fixture(scope="session")
def second_service(
    relay: Stack, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> RunService:
    """Return a context that runs one more service on the same Redis and bucket."""

    @contextmanager
    def run(**variables: str) -> Iterator[str]:
        port = ports.take()
        environment = relay.processes["service"].environment | {
            "FLUXRELAY_PORT": str(port),
            "FLUXRELAY_API_KEYS": f"demo:{relay.api_key},other:{OTHER_KEY}",
            **variables,
        }
        logs: Path = tmp_path_factory.mktemp("second-service")
        process: ManagedProcess = service_process(port, variables=environment, logs=logs)
        try:
            process.start()
            process.wait_ready()
            yield f"http://127.0.0.1:{port}"
        finally:
            process.stop()

    return run


@pytest.fixture(scope="session")
def proxied(second_service: RunService) -> Iterator[str]:
    """Run a service that believes proxies on this machine; return its URL."""
    with second_service(FLUXRELAY_TRUSTED_PROXIES="127.0.0.0/8,10.0.0.0/8") as url:
        yield url


@pytest.fixture(scope="module")
def sample(client: Client) -> tuple[str, bytes]:
    """Have one image made; return its link and its bytes as they were first fetched."""
    task = client.finished(client.submitted("an image to be fetched")["id"])
    url = str(task["result"]["sample"])
    answer = httpx.get(url, trust_env=False, timeout=60)
    assert answer.status_code == 200
    return url, answer.content


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes (hex)."""
    return sha256(data).hexdigest()


def now() -> float:
    """Return Unix time in seconds."""
    return time.time()
