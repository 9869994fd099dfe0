"""Callers of the running product, and what they may look at: Redis, S3 and the sandbox's ledger."""

import io
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from PIL import Image

from core.security.signatures import webhook_secret
from stack.servers.fluxrelay import service_process
from stack.servers.ports import Ports
from stack.servers.process import ManagedProcess
from stack.stack import Stack
from tests.conftest import Eventually

MODEL = "flux-pro-1.1"
TERMINAL = frozenset({"succeeded", "failed", "canceled"})
_JOB_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: When a job that nobody wakes is looked at: later than any test runs.
NEVER = 4102444800  # Unix time: the year 2100
#: Bytes of a body that the second service takes.
SMALL_BODY = 100_000


@dataclass(frozen=True)
class Caller:
    """Somebody with an API key (or none) who calls one service."""

    client: httpx.Client
    eventually: Eventually
    key: str | None = None

    def post(
        self, body: object = None, *, content: Any = None, idempotency: str | None = None
    ) -> httpx.Response:
        """POST a job, as JSON of `body` or as `content` as it is."""
        headers = {"idempotency-key": idempotency} if idempotency is not None else {}
        raw = json.dumps(body).encode() if content is None else content
        return self.client.post("/v1/jobs", content=raw, headers=self._headers() | headers)

    def get(self, path: str) -> httpx.Response:
        """GET a path."""
        return self.client.get(path, headers=self._headers())

    def create(self, prompt: str, /, model: str = MODEL, **more: object) -> str:
        """POST a job that must be accepted, with a small picture; return its id."""
        size = {"width": 256, "height": 256} if model == MODEL else {}
        answer = self.post({"model": model, "input": {"prompt": prompt, **size}, **more})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> Any:
        """Return the view of a job."""
        answer = self.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended(self, job_id: str, seconds: float = 20) -> Any:
        """Return the view of a job once it has ended."""
        self.eventually(lambda: self.job(job_id)["status"] in TERMINAL, seconds)
        return self.job(job_id)

    def _headers(self) -> dict[str, str]:
        return {} if self.key is None else {"authorization": f"Bearer {self.key}"}


@dataclass(frozen=True)
class SandboxDesk:
    """The sandbox's ledger and faults, and its own submit."""

    client: httpx.Client
    key: str
    eventually: Eventually

    def tasks(self, job_id: str) -> list[dict[str, Any]]:
        """Return the ledger's tasks that were made for a job."""
        tasks = self.client.get("/sandbox/ledger").json()["tasks"]
        return [task for task in tasks if (task["webhook_url"] or "").endswith(job_id)]

    def faults(self, **faults: object) -> None:
        """Put faults in force instead of all others."""
        self.client.post("/sandbox/faults", json=faults).raise_for_status()

    def result(self) -> dict[str, Any]:
        """Have a picture made without the product; return the task's page of the ledger."""
        body = {"prompt": "made by hand", "width": 256, "height": 256}
        made = self.client.post(f"/v1/{MODEL}", json=body, headers={"x-key": self.key})
        path = f"/sandbox/ledger/{made.raise_for_status().json()['id']}"
        self.eventually(lambda: self.client.get(path).json()["status"] == "Ready")
        page: dict[str, Any] = self.client.get(path).json()
        return page


@dataclass(frozen=True)
class Rotating:
    """A second service on the same Redis, in the middle of a rotation of its master secret."""

    process: ManagedProcess
    url: str
    new_master: str
    old_master: str
    other_key: str


Traces = Callable[[], frozenset[str]]
Send = Callable[[str, object], httpx.Response]
NothingTakenIn = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def redis_of(relay: Stack) -> Iterator["redis.Redis"]:
    """Return a client of the product's Redis."""
    client = relay.redis()
    yield client
    client.close()


@pytest.fixture(scope="session")
def callers(eventually: Eventually) -> Iterator[Callable[[str, str | None], Caller]]:
    """Return a function that makes a caller of a URL with a key."""
    clients: list[httpx.Client] = []

    def make(url: str, key: str | None) -> Caller:
        clients.append(httpx.Client(base_url=url, timeout=60, trust_env=False))
        return Caller(clients[-1], eventually, key)

    yield make
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def api(relay: Stack, callers: Callable[[str, str | None], Caller]) -> Caller:
    """Return the product's one caller."""
    return callers(relay.service_url, relay.api_key)


@pytest.fixture
def sandbox(relay: Stack, eventually: Eventually) -> Iterator[SandboxDesk]:
    """Return the sandbox; faults are cleared afterwards."""
    key = relay.credentials.provider_key
    with httpx.Client(base_url=str(relay.sandbox_url), timeout=60, trust_env=False) as client:
        yield SandboxDesk(client, key, eventually)
        client.delete("/sandbox/faults").raise_for_status()


@pytest.fixture
def send(relay: Stack) -> Send:
    """Return a function that sends a webhook with the right secret, as JSON or as it is."""

    def post(job_id: str, body: object) -> httpx.Response:
        secret = webhook_secret(relay.credentials.webhook_secret, job_id)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"{relay.service_url}/webhooks/bfl/{job_id}"
        return httpx.post(url, content=content, headers={"x-webhook-secret": secret}, timeout=60)

    return post


@pytest.fixture(scope="session")
def traces(relay: Stack, redis_of: "redis.Redis") -> Traces:
    """Return a function that lists every job that Redis or S3 knows anything of."""
    s3 = relay.s3()

    def find() -> frozenset[str]:
        found: set[str] = set()
        for key in redis_of.scan_iter(count=1000):
            texts = [str(key), *_members(redis_of, str(key))]
            found.update(job_id for text in texts for job_id in _JOB_ID.findall(text))
            found.update({str(key)} if str(key).startswith("idempotency:") else ())
        listing = s3.list_objects_v2(Bucket=relay.bucket, Prefix="_inputs/")
        return frozenset(found | {item["Key"] for item in listing.get("Contents", ())})

    return find


def _members(client: Any, key: str) -> list[str]:
    """Return the members of a collection; a hash is told by its key alone."""
    kind = client.type(key)
    if kind == "zset":
        return list(client.zrange(key, 0, -1))
    if kind == "list":
        return list(client.lrange(key, 0, -1))
    return list(client.smembers(key)) if kind == "set" else []


@pytest.fixture
def nothing_taken_in(traces: Traces) -> NothingTakenIn:
    """Return a context in which no job may appear: not in Redis, not in a queue, not in S3."""

    @contextmanager
    def watch() -> Iterator[None]:
        before = traces()
        yield
        assert traces() - before == frozenset()

    return watch


@pytest.fixture
def full_house(redis_of: "redis.Redis") -> Iterator[None]:
    """Let the account rest, so that every new job stays queued and its record stays as it is."""
    redis_of.set("pool:default:paused", "a test", ex=60)
    yield
    redis_of.delete("pool:default:paused")


@pytest.fixture(scope="session")
def rotating(
    relay: Stack, ports: Ports, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rotating]:
    """Run a service with two master secrets, two tenants, a small body limit and an index."""
    port, other_key, new_master = ports.take(), secrets.token_hex(16), secrets.token_hex(32)
    old_master = relay.credentials.webhook_secret
    variables: Mapping[str, str] = relay.processes["service"].environment | {
        "FLUXRELAY_PORT": str(port),
        "FLUXRELAY_API_KEYS": f"demo:{relay.api_key},other:{other_key}",
        "FLUXRELAY_WEBHOOK_SECRET": f"{new_master},{old_master}",
        "FLUXRELAY_MAX_BODY_BYTES": str(SMALL_BODY),
        "FLUXRELAY_INDEXED_METADATA": "order",
    }
    logs: Path = tmp_path_factory.mktemp("rotating")
    process = service_process(port, variables=variables, logs=logs)
    try:
        process.start()
        process.wait_ready()
        yield Rotating(process, f"http://127.0.0.1:{port}", new_master, old_master, other_key)
    finally:
        process.stop()


@pytest.fixture(scope="session")
def picture() -> bytes:
    """Return a PNG whose bytes do not look like anything else."""
    buffer = io.BytesIO()
    Image.effect_noise((96, 64), 80).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class OwnService:
    """One more service on the same Redis and bucket, for one test."""

    process: ManagedProcess
    url: str


RunService = Callable[..., AbstractContextManager[OwnService]]


@pytest.fixture(scope="session")
def own_service(relay: Stack, ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> RunService:
    """Return a context that runs a service with further variables."""

    @contextmanager
    def run(**variables: str) -> Iterator[OwnService]:
        port = ports.take()
        environment = relay.processes["service"].environment | variables
        environment["FLUXRELAY_PORT"] = str(port)
        logs: Path = tmp_path_factory.mktemp("own-service")
        process = service_process(port, variables=environment, logs=logs)
        try:
            process.start()
            process.wait_ready()
            yield OwnService(process, f"http://127.0.0.1:{port}")
        finally:
            process.stop()

    return run
