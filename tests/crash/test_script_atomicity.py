"""Valkey dies in the middle of writing what a script did: all of it is there afterwards, or none.

A script runs on a real server, which is killed. Its append-only file is cut at many places within
what the script wrote, as a power cut would, and a server is started on each of the pieces.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import redis

from core.jobs.failures import FailureCode, error_record
from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.operations.account_status import AccountRegistry
from core.redis.change import Change, Idempotency
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from stack.servers.ports import Ports
from stack.servers.valkey import Valkey
from tests.contract import batches
from tests.contract.jobs import Clock, accept, make_request
from tests.crash import truncated_aof
from tests.crash.due_work import lay_out
from tests.running_server import running

#: Bytes between two cuts, besides those between two commands.
_EVERY: Final = 64
#: Seconds that nothing may expire in.
_LONG: Final = 3600.0
_CALLBACK: Final = "https://caller.example/callback"
_INPUTS: Final = {"input_image": "_inputs/0001/input_image"}


@dataclass
class World:
    """A store that a script is about to be run on."""

    store: JobStore
    book: AccountRegistry
    clock: Clock
    client: "redis.Redis"


def _prepare_create(world: World) -> None:
    world.store.guard_inputs(JobId("0001"), world.clock.now + 900)


def _create(world: World) -> None:
    """Accept a job with inputs and a key, and grant it a slot."""
    key = Idempotency(key_hash="hash", fingerprint="print")
    world.store.create(JobId("0001"), make_request(input_keys=_INPUTS), key)


def _prepare_move(world: World) -> None:
    """Let two jobs hold the slots, one with inputs and a callback, and a third one wait."""
    accept(world.store, "0001", input_keys=_INPUTS, callback_url=_CALLBACK)
    accept(world.store, "0002", "0003")


def _end(world: World) -> None:
    """Free a slot, grant it, enqueue three tasks, owe a callback."""
    change = Change(set={"error": error_record(FailureCode.LOST, "m")}, clear=["posting_at"])
    assert world.store.move(JobId("0001"), Status.FAILED, change)


def _result(world: World) -> None:
    """Free a slot, grant it, have a result collected."""
    change = Change(set={"result_url": "https://delivery.example/1"}, wake=[Step.COLLECT])
    assert world.store.move(JobId("0001"), Status.STORING, change)


def _give_back(world: World) -> None:
    """Put a job back into its lane, and shrink the pool by its slot."""
    change = Change(clear=["posting_at"], shrink=("default", _LONG), add={"tries:submit": 1})
    assert world.store.move(JobId("0001"), Status.QUEUED, change)


def _prepare_sweep(world: World) -> None:
    lay_out(world.store, world.book, world.clock, world.client)
    assert world.store.take_sweep_lease("token", _LONG)


def _sweep(world: World) -> None:
    """Wake three steps, enqueue a clean-up and a look at the account, free a slot, grant it."""
    report = world.store.sweep("token", _LONG)
    assert report
    assert sorted(report["woken"]) == ["collect:0002", "notify:0001", "submit:0003"]
    assert (report["overdue"], report["freed"]) == (["0004"], ["0006"])
    assert world.client.hget("job:0004", "status") == "submitting"


def _prepare_adopt(world: World) -> None:
    """Let a job wait in a lane that the settings do not know."""
    accept(world.store, "0001", "0002", "0003")
    world.client.rename("backlog:any", "backlog:former")
    world.client.sadd("lanes", "former")
    world.client.hset("job:0003", "lane", "former")


def _adopt(world: World) -> None:
    assert world.book.adopt() == 1


def _prepare_account(world: World) -> None:
    """Let jobs wait for an account that was refused."""
    refused = ("default", world.clock.now, "no credits")
    accept(world.store, "0001", "0002", "0003")
    world.store.move(JobId("0001"), Status.QUEUED, Change(refuse=refused))


def _account(world: World) -> None:
    at = world.clock.now + 60
    assert world.book.record_check("default", credits_left=5.0, refused=None, check_at=at)


def _stage(world: World) -> None:
    batches.stage(world.store, "0001", input_keys=_INPUTS)
    world.store.guard_inputs(JobId("0001"), world.clock.now + 900)


def _commit(world: World) -> None:
    """Make a batch visible, with its key, and take over its files."""
    key = Idempotency(key_hash="hash", fingerprint="print")
    assert batches.commit(world.store, 1, guarded=("0001",), idempotency=key).fresh


def _prepare_expand(world: World) -> None:
    batches.accept(world.store, "0001")
    assert world.store.take_sweep_lease("token", _LONG)


def _expand(world: World) -> None:
    """Make a job of a batch's item, grant it a slot, and start it."""
    assert world.store.sweep("token", _LONG)
    assert world.client.hget("job:0001", "status") == "submitting"


Act = Callable[[World], None]
#: Script -> what there is before it, and its call.
CASES: Final[dict[str, tuple[Act, Act]]] = {
    "create": (_prepare_create, _create),
    "transition to an end": (_prepare_move, _end),
    "transition to a result": (_prepare_move, _result),
    "transition back": (_prepare_move, _give_back),
    "sweep": (_prepare_sweep, _sweep),
    "commit of a batch": (_stage, _commit),
    "sweep that expands a batch": (_prepare_expand, _expand),
    "adopt": (_prepare_adopt, _adopt),
    "account": (_prepare_account, _account),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """Run a Valkey that a test kills."""
    with Ports() as ports:
        valkey = Valkey(ports.take(), directory=tmp_path / "valkey", log=tmp_path / "log")
        with running(valkey):
            yield valkey


@pytest.fixture
def world(server: Valkey) -> Iterator[World]:
    """Return an empty store with two slots."""
    variables = {
        "BFL_API_KEY": "key",
        "FLUXRELAY_WEBHOOK_SECRET": "a-master-secret-that-is-long-enough-for-tests",
        "FLUXRELAY_REDIS_URL": server.url,
        "FLUXRELAY_S3_BUCKET": "pictures",
        "FLUXRELAY_SLOTS": "2",
    }
    settings = Settings.from_env(variables, WORKER)
    client, clock = connect(settings), Clock()
    store = JobStore(client, settings, clock)
    yield World(store, AccountRegistry(store, settings.accounts), clock, client)
    client.close()


@pytest.mark.parametrize(("prepare", "act"), CASES.values(), ids=CASES)
def test_a_script_leaves_all_of_its_work_or_none(
    server: Valkey, world: World, tmp_path: Path, prepare: Act, act: Act
) -> None:
    """Wherever the file is cut within what a script wrote, the state is the one before it.

    Only the whole of it brings the state after it.
    """
    directory = tmp_path / "valkey"
    prepare(world)
    begin = _size_on_disk(world, directory)
    act(world)
    end = _size_on_disk(world, directory)
    server.process.kill()

    before = truncated_aof.state_after_cut(directory, begin, tmp_path / "piece")
    after = truncated_aof.state_after_cut(directory, end, tmp_path / "piece")
    assert before != after
    cuts = _cuts(directory, begin, end)
    for cut in cuts:
        assert truncated_aof.state_after_cut(directory, cut, tmp_path / "piece") == before, cut
    assert len(cuts) > 4


def _size_on_disk(world: World, directory: Path) -> int:
    """Return the file's size once all that was written is in it."""
    assert world.client.waitaof(1, 0, 3000)[0] == 1
    return truncated_aof.newest(directory).stat().st_size


def _cuts(directory: Path, begin: int, end: int) -> list[int]:
    """Return where to cut: between any two commands, and every few bytes."""
    between = set(truncated_aof.commands(truncated_aof.newest(directory).read_bytes()[:end]))
    places = between | set(range(begin + _EVERY, end, _EVERY)) | {end - 1}
    return sorted(place for place in places if begin < place < end)
