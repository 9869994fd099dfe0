"""What tests at the edges share: scripted servers, pictures, jobs."""

import io
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace

import pytest
import redis
from PIL import Image

from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from core.storage.object_store import ObjectStore
from stack.servers.ports import Ports
from stack.servers.valkey import Valkey
from tests.contract.batch_desk import Desk, load_scripts
from tests.contract.harness import Bench
from tests.contract.jobs import Clock
from tests.contract.large_objects import PART
from tests.contract.scripted_server import ScriptedServer
from tests.fake_s3 import FakeS3
from tests.multipart_s3 import MultipartS3
from tests.running_server import running
from worker.runtime import wiring


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Run a scripted server."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def s3(environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeS3]:
    """Run a small S3 that the AWS SDK is led to."""
    assert environment
    with FakeS3() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def untried(s3: FakeS3) -> Iterator[ObjectStore]:
    """Return a bucket on the small S3, of whose habits nothing is known."""
    assert s3.url
    made = ObjectStore(s3.bucket, timeout=2)
    yield made
    made._client.close()  # noqa: SLF001 - its sockets are closed at exit


@pytest.fixture
def wary(untried: ObjectStore) -> ObjectStore:
    """Return the bucket on the small S3, with its habits tried first, as a collect worker does."""
    untried.require_probe()
    return untried


@pytest.fixture
def multipart_s3(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[MultipartS3]:
    """Run a small S3 that takes uploads in parts, and that the AWS SDK is led to."""
    assert environment
    with MultipartS3() as running:
        for name, value in running.environment.items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def in_parts(multipart_s3: MultipartS3) -> Iterator[ObjectStore]:
    """Return a bucket on it that sends anything over a megabyte in parts."""
    made = ObjectStore(multipart_s3.bucket, timeout=5, large=1_000_000, part=PART)
    yield made
    made._client.close()  # noqa: SLF001 - its sockets are closed at exit


@pytest.fixture
def real_in_parts(environment: Mapping[str, str]) -> Iterator[ObjectStore]:
    """Return such a bucket on a real server."""
    assert environment
    made = ObjectStore("pictures", large=1_000_000, part=PART)
    made.delete_below("videos/")
    yield made
    made._client.close()  # noqa: SLF001 - its sockets are closed at exit


@pytest.fixture(scope="session")
def ssl_context() -> ssl.SSLContext:
    """Make a TLS context once, for making one is slow."""
    return ssl.create_default_context()


@pytest.fixture(scope="session")
def picture() -> Callable[[str], bytes]:
    """Return a function that draws a picture of 320 x 200 pixels in a format of Pillow's."""

    def draw(kind: str) -> bytes:
        file = io.BytesIO()
        Image.effect_noise((320, 200), 80).convert("RGB").save(file, kind)
        return file.getvalue()

    return draw


@pytest.fixture
def raw_redis(redis_client: "redis.Redis") -> Iterator["redis.Redis"]:
    """Return a client as RQ wants it, which decodes nothing, of the same empty Redis."""
    options = dict(redis_client.connection_pool.connection_kwargs)
    options |= {"decode_responses": False, "socket_timeout": None}
    client = redis.Redis(connection_pool=redis.ConnectionPool(**options))
    yield client
    client.close()
    client.connection_pool.disconnect()


@pytest.fixture(scope="module")
def own_valkey(ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Run a server that a module's tests may kill and set otherwise."""
    directory = tmp_path_factory.mktemp("own-valkey")
    server = Valkey(ports.take(), directory=directory, log=directory / "log")
    with running(server):
        yield server


@pytest.fixture
def admin(own_valkey: Valkey) -> Iterator["redis.Redis"]:
    """Return a client of that server, whose settings are put right again after the test."""
    with own_valkey.client() as client:
        client.flushdb()
        yield client
        if not own_valkey.process.is_alive:
            own_valkey.process.start()
            own_valkey.process.wait_ready()
        client.client_unpause()
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "always")
        client.replicaof("NO", "ONE")


@pytest.fixture
def clock() -> Clock:
    """Return a clock that the test sets."""
    return Clock()


@pytest.fixture
def store_with(
    redis_client: "redis.Redis", environment: Mapping[str, str], clock: Clock
) -> Callable[..., JobStore]:
    """Return a function that makes a store with other settings, whose time the test sets."""

    def make(**variables: str) -> JobStore:
        named = {f"FLUXRELAY_{name.upper()}": value for name, value in variables.items()}
        return JobStore(redis_client, Settings.from_env({**environment, **named}, WORKER), clock)

    return make


@pytest.fixture
def bench(
    environment: Mapping[str, str],
    server: ScriptedServer,
    redis_client: "redis.Redis",
    clock: Clock,
) -> Iterator[Bench]:
    """Return what steps work with, in an empty world whose time the test sets."""
    host = {"FLUXRELAY_PROVIDER_URL": server.url, "FLUXRELAY_WATCH_SECONDS": "30"}
    settings = Settings.from_env({**environment, **host}, WORKER)
    store = JobStore(redis_client, settings, clock)
    deps = replace(wiring.build(settings), store=store, clock=clock)
    deps.objects.delete_below("")
    yield Bench(deps=deps, server=server, redis=redis_client, clock=clock)
    deps.objects._client.close()  # noqa: SLF001 - its sockets are closed at exit


@pytest.fixture
def desk(
    own_valkey: Valkey, admin: "redis.Redis", environment: Mapping[str, str]
) -> Iterator[Desk]:
    """Return a desk for batches, whose server nobody else uses."""
    variables = {**environment, "FLUXRELAY_REDIS_URL": own_valkey.url}
    variables["FLUXRELAY_MAX_BACKLOG"] = "500"
    with closing(Desk(Settings.from_env(variables, WORKER), admin)) as made:
        load_scripts(made)
        yield made
