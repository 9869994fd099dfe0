"""What a 202 promises is on disk, and a Redis that cannot promise it is told so."""

import re
from collections.abc import Callable, Iterator, Mapping

import pytest
import redis

from core.errors import StoreUnavailable
from core.jobs.job import JobId
from core.jobs.status import Status, Step
from core.operations.provider_results import apply_notice
from core.provider.wire_format import Kind, Notice
from core.redis.change import Change, Idempotency
from core.redis.scripts import connect
from core.redis.store import JobStore
from core.settings.settings import WORKER, Settings
from tests.conftest import Eventually
from tests.contract.jobs import accept, make_request

A = JobId("0001")
#: Its steps load the scripts, where no test before has; the first call of one goes to Redis twice.
FIRST = JobId("0000")


def _calls(client: "redis.Redis", command: str) -> int:
    stats = client.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


def test_a_job_is_confirmed_on_disk(store: JobStore, redis_client: "redis.Redis") -> None:
    """Accepting one asks the server once to confirm the write on its own disk."""
    store.create(FIRST, make_request())
    before = _calls(redis_client, "waitaof")

    store.create(A, make_request())

    assert _calls(redis_client, "waitaof") == before + 1


def test_a_durable_change_is_confirmed_on_disk(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """A change is confirmed where its step asks for it, and not otherwise."""
    accept(store, FIRST)
    accept(store, A)
    store.change(FIRST, {Status.SUBMITTING}, Change(set={"pool": "x"}))
    before = _calls(redis_client, "waitaof")

    store.change(A, {Status.SUBMITTING}, Change(set={"posting_at": 1.0}), durable=True)
    assert _calls(redis_client, "waitaof") == before + 1

    store.change(A, {Status.SUBMITTING}, Change(set={"pool": "x"}))
    assert _calls(redis_client, "waitaof") == before + 1


@pytest.mark.parametrize(("source", "confirmed"), [("webhook", 1), ("poll", 0)])
@pytest.mark.parametrize(
    "notice",
    [
        Notice(kind=Kind.READY, status="Ready", url="https://x/y"),
        Notice(kind=Kind.FAILED, status="Error", message="m"),
    ],
)
def test_a_webhook_is_on_disk_before_it_is_acknowledged(
    store: JobStore, redis_client: "redis.Redis", *, source: str, confirmed: int, notice: Notice
) -> None:
    """The provider sends it once; what a poll heard can be asked again."""
    accept(store, FIRST)
    accept(store, A)
    store.change(FIRST, {Status.SUBMITTING}, Change(set={"pool": "x"}))
    before = _calls(redis_client, "waitaof")

    assert apply_notice(store, A, notice, source)

    assert _calls(redis_client, "waitaof") == before + confirmed


@pytest.fixture
def without_aof(
    store: JobStore, redis_client: "redis.Redis", eventually: Eventually
) -> Iterator[None]:
    """Switch the server's append-only file off for one test."""
    redis_client.config_set("appendonly", "no")
    yield
    redis_client.config_set("appendonly", "yes")

    def confirms() -> bool:
        try:
            store.scripts.check()
        except StoreUnavailable:
            return False
        return bool(redis_client.info("persistence")["aof_rewrite_in_progress"] == 0)

    eventually(confirms)


@pytest.mark.usefixtures("without_aof")
def test_without_an_append_only_file_nothing_is_promised(store: JobStore) -> None:
    """The service is not ready, no job is accepted, and both say what to do."""
    with pytest.raises(StoreUnavailable, match="appendonly is off") as caught:
        store.scripts.check()
    assert "FLUXRELAY_REQUIRE_AOF=no" in str(caught.value)
    with pytest.raises(StoreUnavailable, match="appendonly is off"):
        store.create(A, make_request())


@pytest.mark.usefixtures("without_aof")
def test_the_operator_may_do_without(store_with: Callable[..., JobStore]) -> None:
    """Whoever accepts that jobs get lost can run without an append-only file."""
    store = store_with(require_aof="no")

    store.scripts.check()

    assert store.create(A, make_request()) == A


def test_a_server_that_forgot_the_scripts_is_taught_again(
    store: JobStore, redis_client: "redis.Redis"
) -> None:
    """A restarted Redis knows no script; each is sent again, durable or not."""
    accept(store, A)
    redis_client.script_flush()

    assert store.create(JobId("0002"), make_request()) == "0002"
    redis_client.script_flush()
    assert store.begin(Step.SUBMIT, A) is not None
    redis_client.script_flush()
    assert store.move(A, Status.GENERATING)


PASSWORD = "pass-word-of-a-test"


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{PASSWORD}@127.0.0.1:1/0",
        f"redis://user:{PASSWORD}@no-such-host.invalid:6379/0",
        f"unix://:{PASSWORD}@/no/such/socket?db=0",
        "WRONG PASSWORD",
        "WRONG USER",
        "WRONG DATABASE",
    ],
)
def test_an_unreachable_redis_is_unavailable_and_keeps_its_password(
    environment: Mapping[str, str], url: str
) -> None:
    """Every command ends in the one error that callers handle, without the password in it."""
    right = environment["FLUXRELAY_REDIS_URL"]
    wrong = {
        "WRONG PASSWORD": re.sub(r"//:[^@]+@", f"//:{PASSWORD}@", right),
        "WRONG USER": re.sub(r"//:[^@]+@", f"//user:{PASSWORD}@", right),
        "WRONG DATABASE": right.removesuffix("/0") + "/99",
    }
    url = wrong.get(url, url)
    settings = Settings.from_env({**environment, "FLUXRELAY_REDIS_URL": url}, WORKER)
    client = connect(settings, socket_timeout=1)
    store = JobStore(client, settings)
    key = Idempotency(key_hash="k", fingerprint="f")
    password = right.partition("//:")[2].partition("@")[0]

    for act in (
        store.scripts.check,
        lambda: store.create(A, make_request()),
        lambda: store.find_by_idempotency_key("demo", key),
        lambda: store.load(A),
        lambda: store.move(A, Status.FAILED),
        lambda: store.guard_inputs(A, 1.0),
        lambda: store.take_sweep_lease("t", 1),
        lambda: store.sweep("t", 1),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            act()
        assert PASSWORD not in str(caught.value)
        assert password not in str(caught.value)
    client.close()
