"""Many callers share a round trip and an fsync of a real server, whatever happens to it."""

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from core.errors import IdempotencyConflict, StoreUnavailable
from core.jobs.job import JobId
from core.redis.change import Idempotency
from core.redis.durability import ServerSettings
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from stack.servers.valkey import Valkey
from tests.conftest import Eventually
from tests.contract.jobs import make_request

CROWD = 24


class Crowd:
    """Callers of one store, each in a thread of its own."""

    def __init__(self, settings: Settings, admin: "redis.Redis", eventually: Eventually) -> None:
        self._settings = settings
        self._connect(20)  # longer than a crowd takes to gather on a busy machine
        self.admin = admin
        self._eventually = eventually
        self._pool = ThreadPoolExecutor(CROWD + 10)

    def close(self) -> None:
        """Wait for all of them."""
        self._pool.shutdown()
        self._client.close()

    def _connect(self, socket_timeout: float) -> None:
        self._client = connect(self._settings, socket_timeout=socket_timeout)
        self.store = JobStore(self._client, self._settings)

    def be_impatient(self) -> None:
        """Have them wait for an answer for 5 seconds only."""
        self._client.close()
        self._connect(5)
        self.store.create(JobId("first-of-the-impatient"), make_request())

    def create(self, name: str, idempotency: Idempotency | None = None) -> "Future[JobId]":
        """Have a job accepted."""
        return self._pool.submit(self.store.create, JobId(name), make_request(), idempotency)

    def run_badly(self) -> "Future[Any]":
        """Have a script run that meets an error in its middle."""
        return self._pool.submit(self.store.scripts.run, "create", {"job": "bad"}, durable=True)

    @contextmanager
    def held_back(self, waiting: int) -> Iterator[None]:
        """Have the server hold writes until so many gather behind the one on its way."""
        self.admin.client_pause(20_000, all=False)
        yield
        self._eventually(lambda: self.store.scripts.commit.waiting == waiting)

    def gather(self, count: int) -> "list[Future[JobId]]":
        """Have one job on its way and `count` gathered behind it, all of them held back."""
        with self.held_back(count):
            return [self.create(f"job-{number}") for number in range(count + 1)]

    def confirmations(self) -> int:
        """Return how often the server was asked to confirm so far."""
        stats = self.admin.info("commandstats")
        return int(stats.get("cmdstat_waitaof", {"calls": 0})["calls"])


@pytest.fixture
def crowd(
    own_valkey: Valkey,
    admin: "redis.Redis",
    environment: Mapping[str, str],
    eventually: Eventually,
) -> Iterator[Crowd]:
    """Return callers of the server."""
    settings = Settings.from_env({**environment, "FLUXRELAY_REDIS_URL": own_valkey.url}, WORKER)
    callers = Crowd(settings, admin, eventually)
    # The script is known and the connection open, so that a batch is one command and no more.
    callers.store.create(JobId("first-of-all"), make_request())
    yield callers
    callers.close()


def test_a_crowd_shares_one_confirmation(crowd: Crowd) -> None:
    """Those who gather cost one WAITAOF together, and each gets its own answer."""
    before = crowd.confirmations()

    futures = crowd.gather(CROWD)
    crowd.admin.client_unpause()

    names = [f"job-{number}" for number in range(CROWD + 1)]
    assert [future.result(20) for future in futures] == names
    assert crowd.confirmations() == before + 2
    assert all(crowd.store.load(JobId(name)) for name in names)


def test_who_conflicts_or_errs_does_so_alone(crowd: Crowd) -> None:
    """In one batch, a conflict, an error and a repetition each reach their own caller."""
    known = Idempotency(key_hash="key", fingerprint="one-body")
    other = Idempotency(key_hash="key", fingerprint="another-body")
    crowd.store.create(JobId("known"), make_request(), known)
    before = crowd.confirmations()
    with crowd.held_back(4):
        first = crowd.create("sent first")
        conflict, again = crowd.create("a", other), crowd.create("b", known)
        bad, good = crowd.run_badly(), crowd.create("good")
    crowd.admin.client_unpause()

    assert good.result(20) == "good"
    assert again.result(20) == "known"
    with pytest.raises(IdempotencyConflict):
        conflict.result(20)
    with pytest.raises(StoreUnavailable, match="ResponseError"):
        bad.result(20)
    assert first.result(20) == "sent first"
    assert crowd.confirmations() == before + 2


def test_scripts_that_were_forgotten_are_sent_again_once(crowd: Crowd) -> None:
    """A whole batch that meets a server without scripts is repeated, and done once."""
    before = crowd.confirmations()
    futures = crowd.gather(CROWD)
    crowd.admin.script_flush()
    crowd.admin.client_unpause()

    assert {future.result(20) for future in futures} == {f"job-{n}" for n in range(CROWD + 1)}
    assert crowd.admin.zcard("backlog:any") + crowd.admin.zcard("slots:default") == CROWD + 2
    assert crowd.confirmations() <= before + 4


def test_a_batch_that_only_waits_for_the_disk_holds_up_nobody(
    crowd: Crowd, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one waits for its confirmation the next is done, and both are confirmed in the end."""
    monkeypatch.setattr("core.redis.scripts._FSYNC_TIMEOUT", 0)  # for ever
    crowd.admin.config_set("appendfsync", "no")

    first = crowd.create("first")
    eventually(lambda: crowd.admin.exists("job:first") == 1)
    second = crowd.create("second")
    eventually(lambda: crowd.admin.exists("job:second") == 1)
    assert not first.done()
    assert not second.done()

    crowd.admin.config_set("appendfsync", "always")
    assert (first.result(20), second.result(20)) == ("first", "second")


def test_without_a_confirmation_nobody_of_a_batch_is_told_yes(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server does not confirm in time, every caller learns that nothing is promised."""
    monkeypatch.setattr("core.redis.scripts._FSYNC_TIMEOUT", 50)  # milliseconds
    futures = crowd.gather(CROWD)
    crowd.admin.config_set("appendfsync", "no")
    crowd.admin.client_unpause()

    for future in futures:
        with pytest.raises(StoreUnavailable, match="not confirmed on disk in time"):
            future.result(20)


def test_without_an_append_only_file_nobody_of_a_batch_is_told_yes(crowd: Crowd) -> None:
    """Where it was switched off meanwhile, every caller learns why nothing is promised."""
    futures = crowd.gather(CROWD)
    crowd.admin.config_set("appendonly", "no")
    crowd.admin.client_unpause()

    for future in futures:
        with pytest.raises(StoreUnavailable, match="appendonly is off"):
            future.result(20)


def test_a_file_that_was_off_for_a_moment_confirms_nothing(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is on again by the time we look, the write may still not be in it."""
    found = ServerSettings(
        appendonly=True, appendfsync="always", snapshots=False, waitaof=True, eviction=None
    )
    monkeypatch.setattr("core.redis.scripts.read_server", lambda _client: found)
    crowd.admin.config_set("appendonly", "no")

    with pytest.raises(StoreUnavailable, match="not confirmed on disk"):
        crowd.store.create(JobId("in the gap"), make_request())


def test_a_late_answer_is_nobody_elses(crowd: Crowd) -> None:
    """After a batch that got no answer in time, the next ones get their own."""
    crowd.be_impatient()
    futures = crowd.gather(CROWD)
    for future in futures:
        with pytest.raises(StoreUnavailable, match=r"(?i)timeout"):
            future.result(20)
    crowd.admin.client_unpause()

    names = [f"later-{number}" for number in range(CROWD)]
    assert [future.result(20) for future in map(crowd.create, names)] == names


def test_a_batch_that_was_broken_off_leaves_no_answer_behind(
    crowd: Crowd, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stops the reading of answers, the next caller does not read those that are left."""
    crowd.admin.client_pause(20_000, all=False)
    with monkeypatch.context() as patch:
        patch.setattr(redis.Connection, "read_response", Mock(side_effect=RuntimeError))
        with pytest.raises(RuntimeError):
            crowd.store.create(JobId("first-of-all"), make_request())
    future = crowd.create("another")
    eventually(future.running)
    crowd.admin.client_unpause()

    assert future.result(20) == "another"


def test_a_killed_server_leaves_nobody_waiting(crowd: Crowd, own_valkey: Valkey) -> None:
    """All callers of the batches on their way get an error, and later ones an answer again."""
    futures = crowd.gather(CROWD)
    own_valkey.process.kill()
    for future in futures:
        with pytest.raises(StoreUnavailable):
            future.result(20)

    own_valkey.process.restart()
    names = [f"later-{number}" for number in range(CROWD)]
    assert [future.result(20) for future in map(crowd.create, names)] == names


def test_what_was_accepted_survives_a_kill_in_the_middle(
    crowd: Crowd, own_valkey: Valkey, eventually: Eventually
) -> None:
    """Killed while a crowd pours in, the server still has each job that was answered for."""
    accepted: list[str] = []
    refused: list[str] = []
    stop = threading.Event()

    def pour(caller: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            name = f"{caller}-{number}"
            try:
                assert crowd.store.create(JobId(name), make_request()) == name
            except StoreUnavailable:
                refused.append(name)
            else:
                accepted.append(name)

    with ThreadPoolExecutor(CROWD) as pool:
        pouring = [pool.submit(pour, caller) for caller in range(CROWD)]
        try:
            eventually(lambda: len(accepted) > 3 * CROWD)
            own_valkey.process.kill()
            eventually(lambda: len(refused) >= CROWD)
            own_valkey.process.restart()
            since = len(accepted)
            eventually(lambda: len(accepted) > since + CROWD)
        finally:
            stop.set()
        for caller in pouring:
            caller.result(20)

    assert [name for name in accepted if crowd.store.load(JobId(name)) is None] == []
