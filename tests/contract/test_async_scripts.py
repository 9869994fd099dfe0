"""Requests on an event loop share a round trip and an fsync of a real server, whatever happens."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest
import redis

from core.errors import IdempotencyConflict, StoreUnavailable
from core.jobs.job import JobId
from core.operations.waiting_line import prepare_place
from core.redis.async_scripts import AsyncScripts
from core.redis.async_store import AsyncJobStore
from core.redis.change import Idempotency, Stored
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.redis.transitions import ScriptCall
from core.settings.settings import WORKER, Settings
from stack.servers.valkey import Valkey
from tests.contract.jobs import make_request

CROWD = 24
SOON = 20  # seconds
Test = Callable[["Crowd"], Coroutine[Any, Any, None]]


class Crowd:
    """Requests that have jobs accepted."""

    def __init__(self, settings: Settings, admin: "redis.Redis") -> None:
        self._client = connect(settings)
        self.store = JobStore(self._client, settings)
        self.scripts = AsyncScripts(self.store.scripts, settings, socket_timeout=1)
        self._awaited = AsyncJobStore(self.store, self.scripts)
        self.admin = admin

    async def close(self) -> None:
        """Close all connections."""
        await self.scripts.close()
        self._client.close()

    async def create(self, name: str, idempotency: Idempotency | None = None) -> str:
        """Have a job accepted."""
        stored: Stored = await self._awaited.accept(JobId(name), make_request(), idempotency)
        return stored.id

    async def gather(self, count: int) -> list["asyncio.Task[str]"]:
        """Have one job on its way and `count` gathered behind it, while writes are held back."""
        self.admin.client_pause(20_000, all=False)
        tasks = [asyncio.create_task(self.create("job-0"))]
        await _until(lambda: not self.scripts.commit.waiting and _blocked(self.admin) > 0)
        tasks += [asyncio.create_task(self.create(f"job-{n + 1}")) for n in range(count)]
        await _until(lambda: self.scripts.commit.waiting == count)
        return tasks

    def confirmations(self) -> int:
        """Return how often the server was asked to confirm so far."""
        stats = self.admin.info("commandstats")
        return int(stats.get("cmdstat_waitaof", {"calls": 0})["calls"])


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


def _follow(client: Any, *primary: str) -> None:
    """Make a server a replica of another one, or of none."""
    client.execute_command("REPLICAOF", *primary)


def _blocked(admin: "redis.Redis") -> int:
    return int(admin.info("clients")["blocked_clients"])


@pytest.fixture
def run(
    own_valkey: Valkey, admin: "redis.Redis", environment: Mapping[str, str]
) -> Callable[[Test], None]:
    """Return what runs a test on a loop of its own, with the script known and a connection open."""
    settings = Settings.from_env({**environment, "FLUXRELAY_REDIS_URL": own_valkey.url}, WORKER)

    async def bounded(test: Test) -> None:
        crowd = Crowd(settings, admin)
        try:
            async with asyncio.timeout(SOON):
                await crowd.create("first-of-all")
                await test(crowd)
        finally:
            await crowd.close()

    return lambda test: asyncio.run(bounded(test))


async def _errors(tasks: list["asyncio.Task[str]"]) -> list[str]:
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes), outcomes
    return [str(outcome) for outcome in outcomes]


def test_a_crowd_shares_one_confirmation(run: Callable[[Test], None]) -> None:
    """Those who gather cost one WAITAOF together, and each gets its own answer."""

    async def test(crowd: Crowd) -> None:
        before = crowd.confirmations()
        tasks = await crowd.gather(CROWD)
        crowd.admin.client_unpause()
        names = [f"job-{number}" for number in range(CROWD + 1)]
        assert await asyncio.gather(*tasks) == names
        assert crowd.confirmations() == before + 2
        assert all(crowd.store.load(JobId(name)) for name in names)

    run(test)


def test_who_only_looks_waits_for_no_fsync(run: Callable[[Test], None]) -> None:
    """Scripts that only read share a round trip without a WAITAOF, also where Redis forgot them."""

    async def test(crowd: Crowd) -> None:
        store = AsyncJobStore(crowd.store, crowd.scripts)
        crowd.admin.set("pool:default:paused", "a test")
        names = [await crowd.create(f"waits-{number}") for number in range(3)]
        before = crowd.confirmations()
        for _ in range(2):
            looks = [store.look(prepare_place(crowd.store, JobId(name))) for name in names]
            places = await asyncio.gather(*looks)
            assert [place and place.position for place in places] == [0, 1, 2]
            crowd.admin.script_flush()
        assert crowd.confirmations() == before
        assert await store.look(prepare_place(crowd.store, JobId("nobody"))) is None

    run(test)


def test_who_conflicts_or_errs_does_so_alone(run: Callable[[Test], None]) -> None:
    """In one batch, a conflict, an error and a repetition each reach their own caller."""

    async def test(crowd: Crowd) -> None:
        known = Idempotency(key_hash="key", fingerprint="one-body")
        other = Idempotency(key_hash="key", fingerprint="another-body")
        await crowd.create("known", known)
        before = crowd.confirmations()
        calls: list[Coroutine[Any, Any, Any]] = [
            crowd.create("a", other),
            crowd.create("b", known),
            crowd.scripts.run(ScriptCall("create", {"job": "bad"}, durable=True)),
            crowd.create("good"),
        ]
        conflict, again, bad, good = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(conflict, IdempotencyConflict)
        assert isinstance(bad, StoreUnavailable)
        assert (again, good) == ("known", "good")
        assert crowd.confirmations() == before + 1

    run(test)


def test_scripts_that_were_forgotten_are_sent_again_once(run: Callable[[Test], None]) -> None:
    """A whole batch that meets a server without scripts is repeated, and done once."""

    async def test(crowd: Crowd) -> None:
        crowd.admin.script_flush()
        names = [f"job-{number}" for number in range(CROWD)]
        assert await asyncio.gather(*map(crowd.create, names)) == names
        held = crowd.admin.zcard("backlog:any") + crowd.admin.zcard("slots:default")
        assert held == CROWD + 1

    run(test)


def test_without_a_confirmation_nobody_is_told_yes(
    run: Callable[[Test], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the server does not confirm in time, every caller learns that nothing is promised."""
    monkeypatch.setattr("core.redis.scripts._FSYNC_TIMEOUT", 50)  # milliseconds

    async def test(crowd: Crowd) -> None:
        crowd.admin.config_set("appendfsync", "no")
        errors = await _errors([asyncio.create_task(crowd.create(str(n))) for n in range(CROWD)])
        assert set(errors) == {"Redis: the write was not confirmed on disk in time"}

    run(test)


def test_without_an_append_only_file_nobody_is_told_yes(run: Callable[[Test], None]) -> None:
    """Where it was switched off meanwhile, every caller learns why nothing is promised."""

    async def test(crowd: Crowd) -> None:
        crowd.admin.config_set("appendonly", "no")
        errors = await _errors([asyncio.create_task(crowd.create(str(n))) for n in range(CROWD)])
        assert all("appendonly is off" in error for error in errors)

    run(test)


def test_a_late_answer_is_nobody_elses(run: Callable[[Test], None]) -> None:
    """After batches that got no answer in time, the next ones get their own."""

    async def test(crowd: Crowd) -> None:
        tasks = await crowd.gather(CROWD)
        assert all("timed out" in error for error in await _errors(tasks))
        names = [f"later-{number}" for number in range(CROWD)]
        later = [asyncio.create_task(crowd.create(name)) for name in names]
        await asyncio.sleep(0.1)  # they are sent before the late answers come
        crowd.admin.client_unpause()
        assert await asyncio.gather(*later) == names

    run(test)


def test_whoever_leaves_takes_nobody_along(run: Callable[[Test], None]) -> None:
    """A request that is broken off while its batch is away, or gathers, costs no other its job."""

    async def test(crowd: Crowd) -> None:
        tasks = await crowd.gather(CROWD)
        for task in (tasks[0], tasks[3]):
            task.cancel()
        crowd.admin.client_unpause()
        left = [name async for name in _names(tasks)]
        assert left == [f"job-{n}" for n in range(CROWD + 1) if n not in (0, 3)]
        assert crowd.store.load(JobId("job-3")) is None  # it had not been sent

    run(test)


async def _names(tasks: list["asyncio.Task[str]"]) -> Any:
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(outcome, asyncio.CancelledError):
            yield outcome


def test_a_killed_server_leaves_nobody_waiting(
    run: Callable[[Test], None], own_valkey: Valkey
) -> None:
    """All requests of the batches on their way get an error, and later ones an answer again."""

    async def test(crowd: Crowd) -> None:
        tasks = await crowd.gather(CROWD)
        own_valkey.process.kill()
        assert len(await _errors(tasks)) == CROWD + 1
        own_valkey.process.restart()
        names = [f"later-{number}" for number in range(CROWD)]
        assert await asyncio.gather(*map(crowd.create, names)) == names

    run(test)


def test_a_server_that_was_restarted_meanwhile_is_asked_at_once(
    run: Callable[[Test], None], own_valkey: Valkey
) -> None:
    """A connection that was closed while nobody used it fails nobody."""

    async def test(crowd: Crowd) -> None:
        own_valkey.process.kill()
        own_valkey.process.restart()
        await asyncio.sleep(0)
        assert await crowd.create("after") == "after"

    run(test)


def test_a_replica_promises_nothing_and_is_hung_up_on(run: Callable[[Test], None]) -> None:
    """After a failover each request gets its error, and the next ones a new connection."""

    async def test(crowd: Crowd) -> None:
        _follow(crowd.admin, "127.0.0.1", "1")
        await _errors([asyncio.create_task(crowd.create(str(n))) for n in range(3)])
        made = int(crowd.admin.info("stats")["total_connections_received"])
        _follow(crowd.admin, "NO", "ONE")
        assert await crowd.create("after") == "after"
        assert int(crowd.admin.info("stats")["total_connections_received"]) > made

    run(test)
