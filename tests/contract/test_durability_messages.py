"""What real servers say of themselves, and that every process repeats it at its start."""

import json
import re
from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest
import redis

from core.errors import StoreUnavailable
from core.jobs.job import JobId
from core.redis.durability import Durability, ServerSettings, read_server
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from stack.stack import Stack
from tests.conftest import Eventually
from tests.contract.jobs import make_request

Limited = Callable[..., JobStore]


@pytest.fixture
def set_to(redis_client: "redis.Redis") -> Iterator[Callable[[str, str], None]]:
    """Return a function that changes a setting of the server for one test."""
    before: dict[str, str] = {}

    def change(name: str, value: str) -> None:
        before.setdefault(name, str(redis_client.config_get(name)[name]))
        redis_client.config_set(name, value)

    yield change
    for name, value in before.items():
        redis_client.config_set(name, value)


@pytest.fixture
def limited(redis_client: "redis.Redis", environment: Mapping[str, str]) -> Iterator[Limited]:
    """Return a function that makes a store whose user may not use some commands."""
    clients: list[redis.Redis] = []

    def make(*refused: str) -> JobStore:
        redis_client.acl_setuser(
            "limited",
            enabled=True,
            reset=True,
            passwords=["+password-of-a-test"],
            keys=["*"],
            channels=["*"],
            categories=["+@all"],
            commands=[f"-{name}" for name in refused],
        )
        url = re.sub(
            r"//:[^@]+@", "//limited:password-of-a-test@", environment["FLUXRELAY_REDIS_URL"]
        )
        settings = Settings.from_env({**environment, "FLUXRELAY_REDIS_URL": url}, WORKER)
        clients.append(connect(settings))
        return JobStore(clients[-1], settings)

    yield make
    for client in clients:
        client.close()
    redis_client.acl_deluser("limited")


def test_the_embedded_server_promises_everything(redis_client: "redis.Redis") -> None:
    """It puts each write on disk before its answer, and deletes nothing to make room."""
    assert read_server(redis_client) == ServerSettings(
        appendonly=True,
        appendfsync="always",
        snapshots=False,
        waitaof=True,
        eviction="noeviction",
    )


def test_settings_are_read_as_they_stand(
    redis_client: "redis.Redis", set_to: Callable[[str, str], None]
) -> None:
    """A change of the server's settings is seen the next time it is asked."""
    set_to("appendfsync", "everysec")
    set_to("save", "3600 1")
    set_to("maxmemory-policy", "volatile-lru")

    server = read_server(redis_client)

    assert (server.appendfsync, server.snapshots, server.eviction) == (
        "everysec",
        True,
        "volatile-lru",
    )


def test_everysec_rests_on_the_servers_word(
    store: JobStore, set_to: Callable[[str, str], None]
) -> None:
    """Jobs are accepted, and the word for it is another one."""
    set_to("appendfsync", "everysec")

    assert store.scripts.check() is Durability.WAITAOF
    assert store.create(JobId("1"), make_request()) == "1"


def test_a_server_that_never_syncs_is_refused(
    store: JobStore, set_to: Callable[[str, str], None]
) -> None:
    """It would confirm nothing, so the service is not ready and says why."""
    set_to("appendfsync", "no")

    with pytest.raises(StoreUnavailable, match="appendfsync is 'no'"):
        store.scripts.check()


def test_a_server_that_says_little_is_taken_at_its_word(limited: Limited) -> None:
    """Without INFO and CONFIG, what is not known is no error: WAITAOF is enough."""
    store = limited("config", "info")

    guarantee = store.scripts.guarantee()

    assert guarantee.server == ServerSettings(
        appendonly=None, appendfsync=None, snapshots=None, waitaof=True, eviction=None
    )
    assert guarantee.durability is Durability.WAITAOF
    assert store.create(JobId("1"), make_request()) == "1"


def test_always_is_enough_without_waitaof(limited: Limited, redis_client: "redis.Redis") -> None:
    """Where WAITAOF cannot be used, a server that syncs with every write accepts jobs."""
    store = limited("waitaof")

    assert store.create(JobId("1"), make_request()) == "1"
    assert store.scripts.check() is Durability.ALWAYS
    assert store.create(JobId("2"), make_request()) == "2"
    assert redis_client.exists("job:1", "job:2") == 2


def test_everysec_is_not_enough_without_waitaof(
    limited: Limited, set_to: Callable[[str, str], None]
) -> None:
    """Nobody would confirm a job, so none is accepted, however often it is tried."""
    set_to("appendfsync", "everysec")
    store = limited("waitaof")

    for number in range(3):
        with pytest.raises(StoreUnavailable, match="has no WAITAOF"):
            store.create(JobId(str(number)), make_request())
        with pytest.raises(StoreUnavailable, match="has no WAITAOF"):
            store.scripts.check()


def test_every_process_says_it_once_at_its_start(relay: Stack, eventually: Eventually) -> None:
    """The log of the service and of each worker has one event with the word; so has `/readyz`."""
    names = [name for name in relay.processes if name.split(".")[0] in {"service", "worker"}]
    assert len(names) == 5, relay.processes.keys()

    def said(name: str) -> list[str]:
        lines = relay.processes[name].output().splitlines()
        events = [json.loads(line) for line in lines if '"redis.durability"' in line]
        return [event["durability"] for event in events]

    for name in names:
        eventually(lambda name=name: said(name) == ["always"])  # type: ignore[misc] # a default binds it
    ready = httpx.get(f"{relay.service_url}/readyz", trust_env=False).json()
    assert ready["durability"] == "always"
