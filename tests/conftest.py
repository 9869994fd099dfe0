"""Real servers and the product's own processes, shared by all tests that need them."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import pytest
import redis

from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import SERVICE, WORKER, Settings
from stack.options import StackOptions
from stack.receiver import CallbackReceiver
from stack.servers import children
from stack.servers.ports import Ports
from stack.servers.seaweed import REGION, SeaweedFS
from stack.servers.valkey import Valkey
from stack.stack import Stack
from tests import forked_programs
from tests.running_server import running
from tests.timing import FAST, FAST_SANDBOX

#: Files that take long and would come late, when one process might be left alone with them.
_FIRST: Final = (
    "tests/http/test_schemathesis.py",
    "tests/outage/test_bad_receivers.py",
    "tests/stack/test_commands.py",
    "tests/http/test_secrets.py",
    "tests/stack/test_terminal.py",
)


def pytest_configure() -> None:
    """Have our programs started by a fork server."""
    children.start.by = forked_programs.start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest; leave all others in their order."""
    items.sort(key=lambda item: item.nodeid.partition("::")[0] not in _FIRST)


def pytest_collection_finish() -> None:
    """Have no garbage collection look at the thousands of tests and modules that stay anyway."""
    gc.collect()
    gc.freeze()


class Eventually(Protocol):
    """Waits until a condition comes true."""

    def __call__(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Fail the test unless `condition` comes true within `seconds`, or a minute."""


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Return a function that fails unless a condition comes true in time."""

    def wait(condition: Callable[[], bool], seconds: float = 60) -> None:
        seconds = max(seconds, 60)  # what comes true late on a busy machine is no failure
        start = time.monotonic()
        while not condition():
            waited = time.monotonic() - start
            if waited > seconds:
                pytest.fail(f"the condition did not come true within {seconds:g} s")
            # Between two looks, not instead of one: each look is a request to a server, and fifty
            # of them a second keep from the cores what is waited for.
            time.sleep(min(max(0.02, waited / 20), 0.1))

    return wait


@pytest.fixture(scope="session")
def ports() -> Iterator[Ports]:
    """Hold the ports of this session's servers."""
    with Ports() as held:
        yield held


@pytest.fixture(scope="session")
def valkey(ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """Run a Valkey."""
    directory = tmp_path_factory.mktemp("valkey")
    server = Valkey(ports.take(), directory=directory, log=directory / "log")
    with running(server):
        yield server


@pytest.fixture(scope="session")
def seaweed(ports: Ports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """Run a SeaweedFS with a bucket."""
    directory = tmp_path_factory.mktemp("seaweedfs")
    server = SeaweedFS(ports, bucket="pictures", directory=directory, log=directory / "log")
    with running(server):
        yield server


@pytest.fixture
def environment(
    valkey: Valkey, seaweed: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Return a whole environment for the service and the workers, and set the AWS part of it."""
    aws = {
        "AWS_ACCESS_KEY_ID": seaweed.access_key,
        "AWS_SECRET_ACCESS_KEY": seaweed.secret_key,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_S3": seaweed.endpoint,
    }
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    return {
        **aws,
        **FAST,
        "BFL_API_KEY": "provider-key-of-a-test",
        "FLUXRELAY_WEBHOOK_SECRET": "a-master-secret-that-is-long-enough-for-tests",
        "FLUXRELAY_API_KEYS": "demo:api-key-of-a-test-0001,other:api-key-of-a-test-0002",
        "FLUXRELAY_REDIS_URL": valkey.url,
        "FLUXRELAY_S3_BUCKET": "pictures",
        "FLUXRELAY_CALLBACK_ALLOW_NETS": "127.0.0.0/8",
        "FLUXRELAY_RESULT_HOSTS": "127.0.0.1",
    }


@pytest.fixture
def service_settings(environment: Mapping[str, str]) -> Settings:
    """Return the service's settings."""
    return Settings.from_env(environment, SERVICE)


@pytest.fixture
def worker_settings(environment: Mapping[str, str]) -> Settings:
    """Return the workers' settings."""
    return Settings.from_env(environment, WORKER)


@pytest.fixture
def redis_client(worker_settings: Settings) -> Iterator["redis.Redis"]:
    """Return a client of an empty Redis that knows the scripts."""
    client = connect(worker_settings)
    client.flushdb()
    # Else the first call of a script, in whatever test, would go to Redis twice.
    for text in JobStore(client, worker_settings).scripts._sources.values():  # noqa: SLF001 - no one else loads all
        client.script_load(text)
    yield client
    client.close()


@pytest.fixture
def store(redis_client: "redis.Redis", worker_settings: Settings) -> JobStore:
    """Return a job store on an empty Redis."""
    return JobStore(redis_client, worker_settings)


@pytest.fixture(scope="session")
def relay() -> Iterator[Stack]:
    """Run the whole product, quick, for tests that leave its processes alone."""
    variables = {**FAST, "FLUXRELAY_INDEXED_METADATA": "order"}
    with Stack(StackOptions(relay_variables=variables, sandbox_variables=FAST_SANDBOX)) as stack:
        yield stack


@pytest.fixture
def receiver() -> Iterator[CallbackReceiver]:
    """Run a receiver of callbacks."""
    with CallbackReceiver() as listening:
        yield listening
